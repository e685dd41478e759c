"""How often, how large and where: what every scenario is told; and runs taken in turn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from processes import Ended

T = TypeVar("T")


@dataclass(frozen=True)
class Rounds:
    """`runs` of everything, of which the median counts; `scale`: part of the full size, to try a scenario."""

    runs: int = 3
    scale: float = 1.0

    def scaled(self, size: int) -> int:
        return max(1, round(size * self.scale))

    def in_turn(self, contenders: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Runs all of them, one after the other, and then again: what disturbs the machine disturbs all."""
        results: dict[str, list[T]] = {name: [] for name in contenders}
        for number in range(1, self.runs + 1):
            for name, contend in contenders.items():
                result = contend()
                results[name].append(result)
                say(f"  {number} of {self.runs}  {name}: {_told(result)}")
        return results


def _told(result: object) -> str:
    if isinstance(result, Ended):
        return f"{result.seconds:.2f} s, {result.megabytes:.0f} MB"
    return f"{result:.3f} s" if isinstance(result, float) else str(result)


def seconds(runs: Sequence[Ended]) -> float:
    """The median of their times."""
    return median(run.seconds for run in runs)


def megabytes(runs: Sequence[Ended]) -> float:
    """The median of their peaks."""
    return median(run.megabytes for run in runs)


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def new_warehouse() -> Iterator[Path]:
    """The path of a DuckDB file that is not there yet, and goes with the block."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "warehouse.duckdb"
