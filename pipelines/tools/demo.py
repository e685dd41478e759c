"""`make demo`: load a local Passona with the console command and answer three questions of an analyst.

Every run starts from an empty folder demo/.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from sql_docs import sql_under

FOLDER = Path("demo")

# Headings of docs/sql.md, whose queries on the marts are asked here: robots do not count in either.
QUESTIONS = ("How did each campaign do?", "How fast do people click?", "Do people of some towns click more?")


def demo() -> int:
    """Run the demo; return the exit code of the load."""
    console = Console(highlight=False)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "passona", "sandbox", "--rows", "20000"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = sandbox.stdout.readline().strip() if sandbox.stdout else ""
        console.print(f"a local Passona runs at {address}\n$ passona load --transform")
        path = (FOLDER / "warehouse.duckdb").absolute()
        ended = subprocess.run(
            [sys.executable, "-m", "passona", "load", "--transform"],
            env=os.environ
            | {
                "SOURCES__PASSONA__API_TOKEN": "sandbox",
                "SOURCES__PASSONA__BASE_URL": address,
                "DESTINATION__WAREHOUSE__CREDENTIALS": str(path),
            },
            check=False,
        )
        if ended.returncode == 0:
            answer(console, path)
        return ended.returncode
    finally:
        sandbox.terminate()
        sandbox.wait()


def answer(console: Console, path: Path) -> None:
    with duckdb.connect(str(path), read_only=True) as connection:
        for question in QUESTIONS:
            result = connection.execute(sql_under(question))
            table = Table(box=None, pad_edge=False, header_style="bold")
            for position, column in enumerate(result.description or ()):
                table.add_column(column[0].replace("_", " "), justify="right" if position else "left")
            for row in result.fetchall():
                table.add_row(*map(str, row))
            console.print(f"\n{question}", style="bold", soft_wrap=True)
            console.print(table)
    console.print(f"\nthe warehouse is {FOLDER / path.name}; open it with DuckDB 1.2 or later", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(demo())
