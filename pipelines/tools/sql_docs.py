"""`make docs`: update the results in docs/sql.md by running its SQL on the demo's data.

A result is the table that follows a block of SQL. The rest of the file stays; a test compares.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from demo_data import build_demo

PAGE = Path(__file__).parents[2] / "docs/sql.md"
_BLOCK = re.compile(r"```sql\n(?P<sql>.*?)```\n(?:\n(?P<result>(?:\|[^\n]*\n)+))?", re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield every SQL block of the page and its result."""
    for block in _BLOCK.finditer(text):
        yield block["sql"], block["result"] or ""


def sql_under(heading: str) -> str:
    """Return the first SQL block under a heading of the page."""
    _, _, rest = PAGE.read_text("utf-8").partition(f"## {heading}\n")
    return next(blocks(rest))[0]


def with_results(text: str, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the page with its results on this warehouse."""
    return _BLOCK.sub(lambda block: f"```sql\n{block['sql']}```\n\n{answer(connection, block['sql'])}", text)


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the result as a Markdown table. Times are in UTC."""
    connection.execute("SET TimeZone = 'UTC'")
    result = connection.execute(sql)
    columns = result.description or []
    rows = result.fetchall()
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    lines = [[column[0] for column in columns], ["---:" if number else "---" for number in numeric]]
    lines += [[_text(value) for value in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        build_demo(path)
        with duckdb.connect(str(path), read_only=True) as connection:
            PAGE.write_text(with_results(PAGE.read_text("utf-8"), connection), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
