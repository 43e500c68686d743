"""w2, hand and fan4: arrays, worked on, handed on, and handed to many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.model import Bar, Kind, Metrics, Sense, System, Workload
from tests.benchmarks.noted import Noted, read_halves, read_notes
from tests.benchmarks.programs import Ended, run_baseline, run_pipeflow
from tests.benchmarks.pss import Peak
from tests.benchmarks.workloads.systems import Read, other, ours, peers

KIB = 1 << 10
MIB = 1 << 20
READERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A frame, and how many are enough to measure who is how fast.

    Attributes:
        name: ``8M``.
        nbytes: Of a frame.
        slow: Frames through pipes: tens in a second.
        copied: Frames that are copied in shared memory.
        placed: Frames that nobody copies; so many that the first touch of new memory is a small
            part of it.
    """

    name: str
    nbytes: int
    slow: int
    copied: int
    placed: int

    @property
    def length(self) -> int:
        """Elements of four bytes."""
        return self.nbytes // 4


SIZES = (
    Size(name="64K", nbytes=64 * KIB, slow=4_000, copied=10_000, placed=10_000),
    Size(name="1M", nbytes=MIB, slow=150, copied=4_000, placed=10_000),
    Size(name="8M", nbytes=8 * MIB, slow=25, copied=600, placed=8_000),
    Size(name="64M", nbytes=64 * MIB, slow=4, copied=60, placed=5_000),
    Size(name="256M", nbytes=256 * MIB, slow=2, copied=12, placed=5_000),
)
QUICK = (
    Size(name="64K", nbytes=64 * KIB, slow=20, copied=20, placed=20),
    Size(name="1M", nbytes=MIB, slow=5, copied=5, placed=5),
    Size(name="8M", nbytes=8 * MIB, slow=3, copied=5, placed=5),
    Size(name="64M", nbytes=64 * MIB, slow=2, copied=2, placed=2),
    Size(name="256M", nbytes=256 * MIB, slow=2, copied=2, placed=2),
)


def w2(*, quick: bool, with_peers: bool) -> Workload:
    """Frames of a camera, worked on."""
    shape = {"rows": 1080, "columns": 1920}
    slow = {**shape, "frames": 4 if quick else 30}
    fast = {**shape, "frames": 6 if quick else 600}
    read, read_slow = _frame_reader(fast["frames"]), _frame_reader(slow["frames"])
    limit = Kind.LIMIT
    apart = _half_reader(fast["frames"])
    return Workload(
        name="w2",
        what="1080x1920 float32: fill, times 2, sum",
        systems=(
            ours("pipeflow", "w2.yaml", fast, read),
            ours("pipeflow empty", "w2_empty.yaml", fast, read),
            other("ring, copy in", "baselines.ring:copy_in", "frames", fast, read),
            other("ring, in place", "baselines.ring:in_place", "frames", fast, read),
            other("Queue", "baselines.links:queue", "frames", slow, read_slow),
            other("Pipe", "baselines.links:pipe", "frames", slow, read_slow),
            other("serial", "baselines.limits:serial", "frames", fast, read, kind=limit),
            other(
                "serial, in place",
                "baselines.limits:serial_in_place",
                "frames",
                fast,
                read,
                kind=limit,
            ),
            other(
                "two apart, in place",
                "baselines.limits:two_apart_in_place",
                "frames",
                fast,
                apart,
                kind=limit,
            ),
            *(peers("frames", slow, read_slow) if with_peers else ()),
        ),
        bars=(
            Bar(
                system="pipeflow empty",
                metric="rate",
                against="ring, in place",
                limit=0.95,
                stretch=1.1,
            ),
            Bar(system="pipeflow empty", metric="rate", against="Queue", limit=25),
            Bar(system="pipeflow", metric="rate", against="ring, copy in", limit=0.9),
        ),
    )


def hand(*, quick: bool, with_peers: bool) -> list[Workload]:
    """Frames of each size, handed on."""
    sizes = QUICK if quick else SIZES
    return [_hand(size, with_peers=with_peers and size.name == "8M") for size in sizes]


def fan4(*, quick: bool) -> Workload:
    """One frame to four readers, and what memory that takes."""
    size = next(size for size in (QUICK if quick else SIZES) if size.name == "8M")
    slow, copied, placed = (_hand_params(size, n) for n in (size.slow, size.copied, size.placed))
    return Workload(
        name="fan4",
        what="8 MiB frames to four readers, who look at both ends",
        systems=(
            _fan_ours("pipeflow", "fan4.yaml", copied),
            _fan_ours("pipeflow empty", "fan4_empty.yaml", placed),
            _fan_hand("ring, copy in", "baselines.ring:copy_in", copied),
            _fan_hand("ring, in place", "baselines.ring:in_place", placed),
            _fan_hand("Queue", "baselines.links:queue", slow),
            _fan_hand("Pipe", "baselines.links:pipe", slow),
        ),
        bars=(
            Bar(system="pipeflow", metric="rate", against="ring, copy in", limit=1),
            Bar(system="pipeflow empty", metric="rate", against="ring, copy in", limit=3),
            Bar(
                system="pipeflow",
                metric="pss_mb",
                against="Queue",
                sense=Sense.AT_MOST,
                limit=0.5,
            ),
        ),
    )


def _hand(size: Size, *, with_peers: bool) -> Workload:
    slow, copied, placed = (_hand_params(size, n) for n in (size.slow, size.copied, size.placed))
    read_slow, read, read_placed = (
        _frame_reader(n, size.nbytes) for n in (size.slow, size.copied, size.placed)
    )
    return Workload(
        name=f"hand_{size.name}",
        what=f"frames of {size.name}iB are handed on; the sink looks at both ends",
        systems=(
            ours("pipeflow", "hand.yaml", copied, read),
            ours("pipeflow empty", "hand_empty.yaml", placed, read_placed),
            other("ring, copy in", "baselines.ring:copy_in", "hand", copied, read),
            other("ring, in place", "baselines.ring:in_place", "hand", copied, read),
            other("Queue", "baselines.links:queue", "hand", slow, read_slow),
            other("Pipe", "baselines.links:pipe", "hand", slow, read_slow),
            other("memcpy", "baselines.limits:memcpy", "hand", copied, read, kind=Kind.LIMIT),
            *(peers("hand", slow, read_slow) if with_peers else ()),
        ),
        bars=_hand_bars(size),
    )


def _hand_bars(size: Size) -> tuple[Bar, ...]:
    at_most_us = Bar(system="pipeflow empty", metric="us_per_item", sense=Sense.AT_MOST, limit=150)
    match size.name:
        case "64K":
            return ()
        case "8M":
            return (
                Bar(system="pipeflow", metric="rate", against="ring, copy in", limit=1.4),
                Bar(system="pipeflow empty", metric="rate", against="ring, in place", limit=8),
                at_most_us,
            )
        case _:
            return (at_most_us,)


def _hand_params(size: Size, frames: int) -> dict[str, int]:
    return {"length": size.length, "frames": frames}


def _fan_ours(name: str, pipeline: str, params: dict[str, int]) -> System:
    def measure(folder: Path) -> Metrics:
        given = {**params, "folder": folder}
        run_pipeflow(pipeline, given)
        rate = _rates(read_notes(folder), params["frames"])
        # Looking at memory takes time, so that is a run of its own.
        run_pipeflow(pipeline, given, watch=(peak := Peak()))
        return {**rate, "pss_mb": peak.megabytes}

    return System(name=name, kind=Kind.OURS, measure=measure)


def _fan_hand(name: str, target: str, params: dict[str, int]) -> System:
    def measure(folder: Path) -> Metrics:
        given = {**params, "readers": READERS, "folder": str(folder)}
        run_baseline(target, "hand", given)
        rate = _rates(read_notes(folder), params["frames"])
        run_baseline(target, "hand", given, watch=(peak := Peak()))
        return {**rate, "pss_mb": peak.megabytes}

    return System(name=name, kind=Kind.HAND, measure=measure)


def _frame_reader(frames: int, nbytes: int = 0) -> Read:
    def read(folder: Path, _: Ended) -> Metrics:
        metrics = _rates(read_notes(folder), frames)
        return {**metrics, "gb_per_s": metrics["rate"] * nbytes / 1e9} if nbytes else metrics

    return read


def _half_reader(frames: int) -> Read:
    def read(folder: Path, _: Ended) -> Metrics:
        noted = read_halves(folder)
        noted.require(items=frames // 2, wrong=0)
        return {"rate": frames / noted.wall_s}

    return read


def _rates(noted: Noted, frames: int) -> Metrics:
    noted.require(items=frames, wrong=0)
    gaps: Sequence[float] = [s["median_gap_ns"] for s in noted.sinks if "median_gap_ns" in s]
    steady = {"gap_us": max(gaps) / 1e3} if gaps else {}
    return {"rate": frames / noted.wall_s, "us_per_item": noted.wall_s / frames * 1e6, **steady}
