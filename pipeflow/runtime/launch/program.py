"""How a module of ours becomes a program of its own: in a fresh interpreter, by this very package.

``python -m`` would look for the package on the path and may find another one: for a command that
runs in a checkout, what is installed.
"""

from __future__ import annotations

import sys
from typing import Final

#: Loads the package from its file, as Python's manual has it ("Importing a source file directly"),
#: and begins the module. All that is loaded stays, so the collector would look at it in vain.
_BEGIN: Final = """\
import gc, sys
gc.disable()
from importlib.util import module_from_spec, spec_from_file_location
_, package, module, *arguments = sys.argv
spec = spec_from_file_location("pipeflow", package)
sys.modules["pipeflow"] = ours = module_from_spec(spec)
spec.loader.exec_module(ours)
__import__(module)
sys.modules["__main__"] = begun = sys.modules[module]
sys.argv[:] = [begun.__file__]
begun.main(arguments)
"""


def command(module: str, *arguments: str) -> list[str]:
    """The command that calls a module's ``main`` with some arguments; that never returns.

    It is called without the collector, and turns it on once all of its own is loaded.
    """
    # -P: a yaml.py or json.py in the current folder is not ours to import.
    package = str(sys.modules["pipeflow"].__file__)
    return [sys.executable, "-P", "-c", _BEGIN, package, module, *arguments]
