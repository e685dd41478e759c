"""How fast the program is, beside others and beside the bars that it has to meet: the table of RESULTS.md.

    python benchmarks/bench.py [--only NAME] [--runs N]

Every figure is the median of several whole runs, what is compared runs in turn. The page is written
when all scenarios ran in their full size. Three runs of all take about half an hour.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import bounds
import comparisons
from machine import machine, versions
from peer import AIRBYTE, SINGER
from processes import Failed
from results import Line, as_markdown, show
from rounds import Rounds, say

PAGE = Path(__file__).resolve().parent / "RESULTS.md"
NAMES = (*comparisons.NAMES, *bounds.SCENARIOS)


def main() -> int:
    """Runs what is asked for, prints the table, and writes the page if that was all. 1 if something failed."""
    arguments = _arguments()
    rounds = Rounds(arguments.runs, arguments.scale)
    begun = time.monotonic()
    lines: list[Line] = []
    failed = False
    for name, scenario in _scenarios(rounds, arguments.only or NAMES):
        say(name)
        try:
            lines += scenario()
        except Exception as error:  # noqa: BLE001  # whatever it is, half an hour of others is not lost for it
            failed = True
            say(str(error) if isinstance(error, Failed) else traceback.format_exc())
            lines.append(Line(f"{name}: failed", met=False))
    show(lines)
    minutes = (time.monotonic() - begun) / 60
    if not arguments.only and rounds.scale == 1 and not failed:
        PAGE.write_text(_page(lines, rounds, minutes))
        say(f"written to benchmarks/{PAGE.name}")
    say(f"{minutes:.1f} minutes")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=NAMES, help="this scenario; may be repeated")
    parser.add_argument("--runs", type=int, default=3, help="whole runs of each, of which the median counts")
    parser.add_argument("--scale", type=float, default=1.0, help=argparse.SUPPRESS)  # to try a scenario
    return parser.parse_args()


def _scenarios(rounds: Rounds, names: Iterable[str]) -> Iterator[tuple[str, Callable[[], Iterable[Line]]]]:
    """What to run, by name. Comparisons are one: they share what they are compared with."""
    contests = [name for name in comparisons.NAMES if name in names]
    if contests:
        yield ", ".join(contests), lambda: list(comparisons.compare(rounds, contests))
    for name, scenario in bounds.SCENARIOS.items():
        if name in names:
            yield name, lambda scenario=scenario: list(scenario(rounds))  # type: ignore[misc]  # bound now


def _page(lines: list[Line], rounds: Rounds, minutes: float) -> str:
    return PAGE_TEXT.format(
        table=as_markdown(lines),
        runs=rounds.runs,
        versions=versions(),
        singer=SINGER.versions(),
        airbyte=AIRBYTE.versions(),
        machine=machine(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        minutes=f"{minutes:.0f}",
    )


PAGE_TEXT = """\
# How fast it is

<!-- Made by `make bench` (benchmarks/bench.py); not written by hand. -->

Each figure is the median of {runs} whole runs (processes from their start to their end), and what is compared ran in
turn. The ratio is the other by ours, and where the bar is an upper one (<=) ours by the other. A compared load counts
only if every row of every report is in its database afterwards. Memory is the peak that was resident, of a process and
its children together; what they share counts once.

- Date: {date}; all of it took {minutes} minutes.
- Machine: {machine}.
- Versions: {versions}.
- The Singer peer: {singer}.
- PyAirbyte: {airbyte}.

{table}

What is compared:

- **ours** is `passona load`, as it comes.
- **rest_api** is dlt's own source, set up as a user would who wants one campaign replaced: parallelized, merge
  ([rest_api_load.py](rest_api_load.py)). It asks for no page size, so it gets 50 a page from every server. With lists
  it does what the program does, names and values as child rows, by a map; without, it leaves them as they come, which
  is less than the program does. Tuned: with lists, Parquet files, and all cores normalise.
- **the floor** ([floor_load.py](floor_load.py)) is the least that does it in Python: threads with requests and orjson,
  rows straight into DuckDB as text. It types, splits and verifies nothing, and has no dlt.
- **Singer** ([singer_load.py](singer_load.py)): a tap made with Meltano's SDK, and target-duckdb; one page after
  another.
- **PyAirbyte** ([airbyte_load.py](airbyte_load.py)): a low-code source ([airbyte_manifest.yaml](airbyte_manifest.yaml))
  read into its DuckDB cache, each table replaced; the six reports at once, the pages of one after another. Both peers
  leave times as texts, names and values as they come, and rows without their campaign: less than the program does.
- The server ([page_server.py](page_server.py)) sends pages that were rendered before; how fast it is alone is a line
  of the table.
"""


if __name__ == "__main__":
    sys.exit(main())
