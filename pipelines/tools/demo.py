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

FOLDER = Path("demo")

QUESTIONS = {
    "How did each campaign do? (people that clicked, robots left out)": """
        WITH messages AS (
            SELECT campaign_id, count(*) AS messages, count(*) FILTER (status = 'Success') AS delivered
            FROM passona.delivery GROUP BY campaign_id
        ), clickers AS (
            SELECT campaign_id, count(DISTINCT phone_number) AS clickers
            FROM passona.clicks
            WHERE user_agent NOT SIMILAR TO
                  '.*(bot|Bot|facebookexternalhit|WhatsApp|Preview|PageRenderer|python-requests).*'
            GROUP BY campaign_id
        )
        SELECT name AS campaign, messages, delivered, coalesce(clickers, 0) AS clickers,
               round(100 * coalesce(clickers, 0) / delivered, 1) AS "clickers in 100 delivered"
        FROM passona.campaigns JOIN messages USING (campaign_id) LEFT JOIN clickers USING (campaign_id)
        ORDER BY messages DESC LIMIT 5
    """,
    "How fast do people click?": """
        SELECT CASE WHEN minutes < 1 THEN '1  within a minute' WHEN minutes < 60 THEN '2  within an hour'
                    WHEN minutes < 1440 THEN '3  within a day' ELSE '4  later' END AS clicked, count(*) AS clicks
        FROM (
            SELECT date_diff('second', max(message_sent), clicked_at) / 60 AS minutes
            FROM passona.clicks JOIN passona.alt_delivery
              ON mobile = phone_number AND alt_delivery.campaign_id = clicks.campaign_id AND message_sent <= clicked_at
            GROUP BY clicks.row_id, clicked_at
        )
        GROUP BY 1 ORDER BY 1
    """,
    "Which fields do recipients have, and how often are they filled?": """
        SELECT name AS field, count(*) AS recipients, count(*) FILTER (value <> '') AS filled
        FROM passona.recipient__fields GROUP BY name ORDER BY recipients DESC LIMIT 5
    """,
}


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
        console.print(f"a local Passona runs at {address}\n$ passona load")
        path = (FOLDER / "warehouse.duckdb").absolute()
        ended = subprocess.run(
            [sys.executable, "-m", "passona", "load"],
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
        for question, sql in QUESTIONS.items():
            result = connection.execute(sql)
            table = Table(box=None, pad_edge=False, header_style="bold")
            for position, column in enumerate(result.description or ()):
                table.add_column(column[0], justify="right" if position else "left")
            for row in result.fetchall():
                table.add_row(*map(str, row))
            console.print(f"\n{question}", style="bold", soft_wrap=True)
            console.print(table)
    console.print(f"\nthe warehouse is {FOLDER / path.name}; open it with DuckDB 1.2 or later", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(demo())
