"""Repeated, alternating runs of what a scenario compares."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from processes import Measured

T = TypeVar("T")


@dataclass(frozen=True)
class Rounds:
    """The number of runs, of which the median counts, and the part of the full size: below 1 to try a scenario."""

    runs: int = 3
    scale: float = 1.0

    def scaled(self, size: int) -> int:
        return max(1, round(size * self.scale))

    def alternate(self, contenders: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Run every contender once per round, so that a disturbance of the machine affects all of them."""
        results: dict[str, list[T]] = {name: [] for name in contenders}
        for number in range(1, self.runs + 1):
            for name, contend in contenders.items():
                result = contend()
                results[name].append(result)
                log(f"  {number} of {self.runs}  {name}: {result or 'failed'}")
        return results


def seconds(runs: Sequence[Measured]) -> float:
    """Return the median of the wall-clock times."""
    return median(run.seconds for run in runs)


def megabytes(runs: Sequence[Measured]) -> float:
    """Return the median of the memory peaks."""
    return median(run.megabytes for run in runs)


def log(line: str) -> None:
    """Print a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def new_warehouse() -> Iterator[Path]:
    """Yield the path of a DuckDB file that does not exist yet; delete the file at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "warehouse.duckdb"
