"""Writes keys.md, operators.md, errors.md and a page for each error code from what is in the code.

Examples of mistakes are the smallest files of ``tests/cases/invalid`` that earn them; they are also
written where ``pipeflow explain`` finds them.

    python docs/make_reference.py

Run it after changing a declaration; ``tests/test_docs.py`` fails when a page is stale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Final

from pipeflow.cli.codes import CODES
from pipeflow.cli.explain import EXAMPLES, page
from pipeflow.spec.language import TABLES
from pipeflow.spec.options import Option
from pipeflow.spec.stage_type import StageType
from pipeflow.spec.table import Table, expected
from pipeflow.stages.manual import manual_page
from pipeflow.stages.registry import stage_types

FOLDER: Final = Path(__file__).parent
CASES: Final = FOLDER.parent / "tests/cases/invalid"
#: Longer files are no examples.
MOST: Final = 700
HEAD: Final = re.compile(r"# (\d+:\d+: (error|warning)\[|  hint: )")
NOTICE: Final = "<!-- Written by make_reference.py: change the declarations, not this page. -->"


def pages() -> dict[str, str]:
    """File name to its text."""
    return {
        "keys.md": keys_page(),
        "operators.md": operators_page(),
        "errors.md": errors_page(),
        **{f"errors/{code}.md": f"{NOTICE}\n{markdown(code)}" for code in CODES},
    }


def keys_page() -> str:
    """Every key of the language that this version has."""
    head = (
        NOTICE,
        "# Every key of the language",
        "",
        "[language.md](language.md) explains the language by example.",
    )
    options = [option for table in TABLES for option in table.options]
    later = {option.name for option in options if option.later} | {
        f"{option.name}: {choice}" for option in options for choice in option.later_choices
    }
    tail = (
        "",
        "## Words for later",
        "",
        "Known, and refused with a sentence that says so: ",
        ", ".join(f"`{name}`" for name in sorted(later)) + ".",
    )
    return "\n".join([*head, *(line for table in TABLES for line in chapter(table)), *tail]) + "\n"


def chapter(table: Table) -> Iterator[str]:
    """The keys of one mapping."""
    title = table.title[0].upper() + table.title[1:]
    yield from ("", f"## {title}", "", "| key | must be | default | |", "|---|---|---|---|")
    yield from (row(option) for option in table.now())
    if table.open:
        yield from ("", "Keys that begin with `x-` are yours.")


def row(option: Option) -> str:
    """One key."""
    cells = (f"`{option.name}`", expected(option), default(option), " ".join(sentences(option)))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def default(option: Option) -> str:
    """What holds when the key is left out."""
    if option.required:
        return "required"
    if option.default is None or option.default == "":  # lists cannot be looked up in a set
        return ""
    written = option.default if isinstance(option.default, str) else json.dumps(option.default)
    return f"`{written}`"


def sentences(option: Option) -> Iterable[str]:
    """What a key does, and what each choice means."""
    yield option.description
    for choice, meaning in zip(option.choices, option.choice_docs, strict=False):
        yield f"`{choice}`: {meaning}"


def operators_page() -> str:
    """The manual pages of the built-in operators, by name."""
    head = (
        NOTICE,
        "# The built-in operators",
        "",
        "`pipeflow stages NAME` shows the same in a terminal.",
    )
    built_in = [kind for kind in stage_types().values() if kind.origin == "built in"]
    manuals = [one_level_down(kind) for kind in sorted(built_in, key=lambda kind: kind.name)]
    return "\n\n".join(["\n".join(head), *manuals]) + "\n"


def one_level_down(operator: StageType) -> str:
    """A manual page whose headings fit below the title of ours."""
    in_code, lines = False, []
    for line in manual_page(operator).strip().splitlines():
        in_code ^= line.startswith("```")
        lines.append(f"#{line}" if line.startswith("#") and not in_code else line)
    return "\n".join(lines)


def errors_page() -> str:
    """What each error code means."""
    head = (
        NOTICE,
        "# Error codes",
        "",
        "A mistake is shown as `path:line:column: error[code]: what is wrong`.",
        "Each code has a page, which `pipeflow explain CODE` shows too.",
    )
    codes = (f"- [`{code}`](errors/{code}.md): {CODES[code]}" for code in sorted(CODES))
    return "\n".join([*head, "", *codes]) + "\n"


def markdown(code: str) -> str:
    """The page of one code."""
    return page(code, examples().get(code), fence="```")


@cache
def examples() -> dict[str, dict[str, str]]:
    """Code to the smallest file that earns it first of all, and what is said of it."""
    found: dict[str, dict[str, str]] = {}
    for case in sorted(CASES.glob("*.yaml"), key=lambda path: (path.stat().st_size, path.name)):
        lines = case.read_text(encoding="utf-8").split("\n")
        head = list(takewhile(lambda line: HEAD.match(line), lines))
        codes = re.findall(r"\[([\w-]+)\]: ", head[0]) if head else []
        text = "\n".join(lines[len(head) :])
        if not codes or codes[0] in found or len(text) > MOST or not _readable(text):
            continue
        told = [_without_head(line.removeprefix("# "), len(head)) for line in head]
        found[codes[0]] = {"file": text.rstrip() + "\n", "told": "\n".join(told)}
    return dict(sorted(found.items()))


def _readable(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


def _without_head(line: str, above: int) -> str:
    """A line of a head, for the file without its head: ``p.yaml:5:3: error[...]``."""
    line = re.sub(r"\(line (\d+)\)", lambda m: f"(line {int(m[1]) - above})", line)
    place = re.match(r"(\d+):(.*)", line)
    return f"p.yaml:{int(place[1]) - above}:{place[2]}" if place else line


def main() -> None:
    """Write the pages."""
    EXAMPLES.write_text(examples_text(), encoding="utf-8")
    for old in (FOLDER / "errors").glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


def examples_text() -> str:
    """The examples as ``pipeflow explain`` reads them."""
    return json.dumps(examples(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
