"""`passona person`."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from passona.cli import options
from passona.cli.screen import print_result, spinner
from passona.config.address import warehouse_address
from passona.config.configuration import load_privacy_settings
from passona.erasure.person import Person
from passona.erasure.person import person as find_person
from passona.masking.messages import counted, printable
from passona.monitoring import logs


@options.verb(
    'passona person "+44 7123 456789"           a phone with its country code',
    "passona person - < number.txt              so that it is not in the shell's history",
    "passona person --json - < number.txt > answer.json",
    "passona person p_3f9a2c41_0123456789abcdef0123456789abcdef",
    'passona person --account brand_a "+44 7123 456789"   one brand was asked',
)
@click.argument("phone")
@click.option("--account", metavar="NAME", help="Only what this account's campaigns have, without tables of your own.")
@options.wait
@options.as_json
def person(*, phone: str, account: str | None, wait: float, as_json: bool) -> None:
    """Print everything that is stored about a person, table by table.

    PHONE is a phone number with its country code, a token of a pseudonymous warehouse, or - to read either from
    standard input. Rows of other people whose texts contain the number are counted, never shown. Needs no API
    token, sends no request and changes nothing.

    Exit codes: 0, also if nothing is stored; 2 no warehouse, or no phone number; 6 busy.
    """
    with spinner("searching the warehouse"):
        result = find_person(
            warehouse_address(), _read(phone), load_privacy_settings(), wait, logs.notify, account=account
        )
    document = {
        **({"account": account} if account else {}),
        "privacy": result.privacy,
        "kept_out_since": result.blocked_since,
        "tables": result.tables,
        "named_by_others": [vars(mention) for mention in result.mentions],
    }
    print_result(document, lambda: _print(result), as_json=as_json)


def _read(phone: str) -> tuple[str, str]:
    if phone != "-":
        return "PHONE", phone
    lines = options.lines_of(Path("-"))
    if len(lines) != 1:
        raise click.UsageError(f"expected one phone on standard input, got {len(lines)}")
    return lines[0]


def _print(result: Person) -> None:
    for name, rows in result.tables.items():
        click.echo(f"{printable(name)}: {counted(len(rows), 'row')}")
        _print_rows(rows)
    if result.blocked_since:
        click.echo(f"kept out of loads since {_shown(result.blocked_since)} (passona forget)")
    for mention in result.mentions:
        where = printable(f"{mention.table}, column {mention.column}")
        click.echo(f"named in {counted(mention.rows, 'row')} of others: {where}")
    total = sum(map(len, result.tables.values()))
    if total:
        click.echo(f"{counted(total, 'row')} in {counted(len(result.tables), 'table')}")
    else:
        hint = "" if result.blocked_since else "; a number needs its country code"
        click.echo(f"no row of this person is stored here{hint}")


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """Print one line per value, so that a row of any table fits; long values wrap."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(max_width=30, overflow="fold")
    table.add_column(overflow="fold")
    for row in rows:
        for name, value in row.items():
            if value is not None:
                table.add_row(Text(f"  {printable(name)}"), Text(printable(_shown(value), keep="\n")))
        table.add_row()
    console = Console(highlight=False)
    console.width = min(console.width, 80)
    with console.capture() as lines:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in lines.get().splitlines()))


def _shown(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)
