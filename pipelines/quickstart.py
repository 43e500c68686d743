"""The stages of quickstart.yaml: find the standard library, and count the names in each file."""

from __future__ import annotations

import keyword
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def library() -> Iterator[Path]:
    """Find every file of the standard library of the Python that runs this."""
    files = Path(sysconfig.get_path("stdlib")).rglob("*.py")
    yield from sorted(file for file in files if "site-packages" not in file.parts)


def names(file: Path) -> Counter[str] | None:
    """Count the names in a file; none if it is not Python (some tests of Python's own are not)."""
    try:
        with tokenize.open(file) as source:
            tokens = tokenize.generate_tokens(source.readline)
            return Counter(token.string for token in tokens if is_name(token))
    except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
        return None


def is_name(token: tokenize.TokenInfo) -> bool:
    """Tell names from keywords, which the tokenizer takes for names too."""
    return token.type == tokenize.NAME and not keyword.iskeyword(token.string)
