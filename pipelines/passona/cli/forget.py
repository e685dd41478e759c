"""`passona forget`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.errors import ConfigurationError, Exit
from passona.masking.messages import printable

if TYPE_CHECKING:
    from passona.erasure.forget import Forgotten
    from passona.erasure.lift import Lifted


@click.command(
    epilog="""\b
Examples:
  passona forget "+44 7123 456789"           a phone with its country code
  passona forget --file requests.txt         one a line, # begins a comment
  passona forget --file - < requests.txt     so that no number is in the shell's history
  passona forget p_3f9a2c41_0123456789abcdef0123456789abcdef
  passona forget --dry-run --file requests.txt
  passona forget --lift "+44 7123 456789"    it was a mistake: let the person in again"""
)
@click.argument("phones", nargs=-1, metavar="[PHONE ...]")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path), help="Phones, one a line."
)
@click.option("--lift", is_flag=True, help="Let people in again: the next load brings them back.")
@click.option("--dry-run", is_flag=True, help="Count what would be erased or become due, and change nothing.")
@options.wait
@options.output_options
def forget(*, phones: Sequence[str], file: Path | None, lift: bool, dry_run: bool, wait: float) -> None:
    """Erase people everywhere in the warehouse and its published copies, and keep them out.

    PHONE is a phone with its country code, or a token of a warehouse that holds tokens. Rows of the person go
    from every table, the marts are built anew, and the file is rewritten and searched. The next loads leave
    the person out; the ledger counts these rows as suppressed.

    A published copy that is not there, is held by a reader or is of another mode or key is named, and keeps
    the exit code from being 0: run it again when that is mended.

    --lift reverses this: people are no longer kept out, and every report that may have lost something is due. The
    next load asks for these reports again. It brings back what Passona still has, and not what is past retain_days.
    Texts that were erased from tables of your own stay erased.
    """
    from passona.masking.people import lines_of

    texts = [(f"argument {number}", phone) for number, phone in enumerate(phones, 1)]
    texts += lines_of(file) if file else []
    if not texts:
        raise click.UsageError("give a phone, or --file with one a line")
    sys.exit((_lifted if lift else _forgotten)(texts, wait, dry_run=dry_run))


def _forgotten(texts: Sequence[tuple[str, str]], wait: float, *, dry_run: bool) -> int:
    from passona.cli.screen import spinner
    from passona.config.address import exists, warehouse_address
    from passona.config.configuration import load_privacy_settings
    from passona.erasure.forget import forget as erase
    from passona.erasure.forget import rewrite_all

    privacy_settings = load_privacy_settings()
    address = warehouse_address()
    if not exists(address):
        raise click.UsageError(f"there is no warehouse at {address}")
    with spinner("counting rows" if dry_run else "erasing rows"):
        found = erase(address, texts, privacy_settings, wait, options.notify, dry_run=dry_run)
    code = Exit.OK
    if not dry_run:
        code = _build(wait) if found.built else Exit.OK
        with spinner("rewriting and searching the files"):
            rewrite_all(address, texts, privacy_settings, wait, options.notify, into=found)
    for where in found.unfound:
        options.notify(f"{where}: nobody of this number was found here; numbers need their country code")
    for table in found.elsewhere:
        options.notify(
            f"{table} is not a table of passona-warehouse and names these people too: erase them there yourself"
        )
    _print(found, dry_run=dry_run)
    for error in found.left:
        options.notify(str(error))
    return min({code, *(error.exit_code for error in found.left)} - {Exit.OK}, default=Exit.OK)


def _lifted(texts: Sequence[tuple[str, str]], wait: float, *, dry_run: bool) -> int:
    from passona.cli.screen import spinner
    from passona.config.address import exists, warehouse_address
    from passona.config.configuration import load_privacy_settings
    from passona.erasure.lift import lift

    privacy_settings = load_privacy_settings()
    address = warehouse_address()
    if not exists(address):
        raise click.UsageError(f"there is no warehouse at {address}")
    with spinner("looking for what is due"):
        found = lift(address, texts, privacy_settings, wait, options.notify, dry_run=dry_run)
    for where in found.unknown:
        options.notify(f"{where}: nobody of this number is kept out here")
    if found.people:
        _print_lifted(found, dry_run=dry_run)
    for error in found.left:
        options.notify(str(error))
    return min((error.exit_code for error in found.left), default=Exit.OK)


def _print_lifted(found: Lifted, *, dry_run: bool) -> None:
    from passona.cli.screen import counted

    people = "1 person" if found.people == 1 else f"{found.people} people"
    reports = counted(len(found.due), "report")
    if dry_run:
        click.echo(f"{people} would be let in again; {reports} would be due; nothing was changed")
    else:
        command = "passona load --transform" if found.built else "passona load"
        click.echo(f"{people} let in again; {reports} due: run {command}")
    if found.unlisted:
        uuids = ", ".join(sorted({campaign_id for campaign_id, _ in found.unlisted}))
        click.echo(
            f"{counted(len(found.unlisted), 'report')} of these only come with passona load UUID or passona "
            f"import-csv, because the campaigns are not listed: {uuids}"
        )
    if found.expired:
        click.echo(f"{counted(len(found.expired), 'report')} cannot come back: past retain_days")


def _build(wait: float) -> Exit:
    """The marts without these people; where dbt is not installed, who has it has to do it."""
    from passona.analytics.transform import BuildRequest, check_installed, transform
    from passona.cli.transform import run_transform
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_timezone

    address = warehouse_address()
    try:
        check_installed(address)
    except ConfigurationError:
        options.notify(
            "dbt is not installed here: run passona transform where it is; until then totals count them still"
        )
        return Exit.OK
    return run_transform(
        lambda: transform(address, load_timezone(), wait, options.notify, BuildRequest()), address, quiet=True
    ).exit_code


def _print(found: Forgotten, *, dry_run: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("table", "rows", title="would be erased" if dry_run else "erased", title_justify="left")
    table.columns[1].justify = "right"
    for name, rows in sorted(found.tables.items()):
        table.add_row(escape(printable(name)), f"{rows:,}")
    Console().print(table)
    people = "1 person" if found.people == 1 else f"{found.people} people"
    if dry_run:
        click.echo(f"{people}; nothing was changed")
        return
    searched = f", {found.searched:,} bytes searched" if found.searched else ""
    left = f"; NOT in {len(found.left)} of the published copies" if found.left else ""
    files = "1 file" if len(found.files) == 1 else f"{len(found.files)} files"
    click.echo(f"{people} forgotten; {files} rewritten{searched}{left}")
