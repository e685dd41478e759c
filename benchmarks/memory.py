"""Peak memory of a load by the size of one report: it must not grow with it.

    python benchmarks/memory.py

One campaign, report alt_delivery with its lists, 500 rows a page. The sandbox makes six reports of
a total; alt_delivery is some three tenths of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from sandboxed import load, sandbox

TOTALS = (340_000, 6_800_000)


def main() -> None:
    print(f"{'rows':>12} {'field rows':>12} {'seconds':>8} {'peak MB':>8} {'of the first':>12}")
    first = None
    for total in TOTALS:
        with sandbox("--campaigns", "1", "--rows", str(total)) as address, tempfile.TemporaryDirectory() as folder:
            ended = load(address, Path(folder) / "warehouse.duckdb", "--report", "alt_delivery")
        report = ended.document["reports"]["alt_delivery"]
        first = first or ended.megabytes
        print(
            f"{report['rows']:>12,} {report['field_rows']:>12,} {ended.seconds:>8.1f} {ended.megabytes:>8.0f} "
            f"{ended.megabytes / first:>12.2f}"
        )


if __name__ == "__main__":
    main()
