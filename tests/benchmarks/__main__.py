"""``python -m tests.benchmarks``: pipeflow beside hand-written code and the machine's limits."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks.catalogue import catalogue
from tests.benchmarks.export import as_json
from tests.benchmarks.model import System, Workload
from tests.benchmarks.peers.needed import about_peers
from tests.benchmarks.picture import can_draw, draw
from tests.benchmarks.programs import compile_ours
from tests.benchmarks.rounds import Measured, run_rounds
from tests.benchmarks.table import bars_table, systems_table

#: Wide enough that a table in a log file is not folded.
LOG_WIDTH = 150
#: Where the numbers and the picture go when nobody says.
JSON = Path("out/benchmarks.json")
PNG = Path("out/benchmarks.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if any result was wrong."""
    chosen = _parser().parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=LOG_WIDTH)
    workloads = _select(chosen.workload, quick=chosen.quick, peers=chosen.peers)
    rounds = chosen.rounds or (1 if chosen.quick else 5)
    for sentence in beforehand(chosen):
        print(sentence, file=sys.stderr)
    compile_ours()
    done: list[Measured] = []
    for workload in workloads:
        measured = run_rounds(workload, rounds, lambda *what: _tell(rounds, *what))
        done.append(measured)
        console.print(systems_table(measured))
    console.print(bars_table(done))
    _write(done, chosen)
    return _complain(done)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("workload", nargs="*", help="names of workloads; all when left out")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds of each workload (5)")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: a smoke run")
    parser.add_argument("--peers", action="store_true", help="also packages that do the like")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", default=JSON, help=f"for every value ({JSON})"
    )
    parser.add_argument(
        "--png", type=Path, metavar="FILE", default=PNG, help=f"for a picture of the bars ({PNG})"
    )
    return parser


def _write(done: Sequence[Measured], chosen: argparse.Namespace) -> None:
    for file in (chosen.json, chosen.png):
        file.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(as_json(done), indent=1) + "\n")
    written = [chosen.json]
    if can_draw():
        draw(done, chosen.png)
        written.append(chosen.png)
    print("written:", *written)


def beforehand(chosen: argparse.Namespace) -> list[str]:
    """Say what will be missing in the end, before anybody waits for it."""
    sentences: list[str] = []
    if not can_draw():
        sentences.append(
            f"{chosen.png} will not be drawn: that needs matplotlib (pip install 'pipeflow[bench]')"
        )
    if chosen.peers:
        sentences += about_peers()
    return sentences


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _select(names: Sequence[str], *, quick: bool, peers: bool) -> list[Workload]:
    known = {workload.name: workload for workload in catalogue(quick=quick, peers=peers)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"there is no workload '{unknown[0]}'; there are {', '.join(known)}")
    return [known[name] for name in names or known]


def _tell(rounds: int, workload: Workload, number: int, system: System) -> None:
    print(f"{workload.name}: round {number} of {rounds}: {system.name}", file=sys.stderr)


def _complain(done: Sequence[Measured]) -> int:
    wrong = [(each.workload.name, *pair) for each in done for pair in each.wrong.items()]
    for workload, system, why in wrong:
        print(f"\n{workload}: {system}: {why}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
