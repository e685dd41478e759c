"""`passona forget`."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from passona.analytics.transform import check_installed, transform
from passona.cli import options
from passona.cli.screen import spinner
from passona.cli.transform import run_transform
from passona.config.address import Address, existing_warehouse
from passona.config.configuration import load_privacy_settings, load_timezones
from passona.erasure.forget import Forgotten, Texts, rewrite_all
from passona.erasure.forget import forget as erase
from passona.erasure.lift import Lifted
from passona.erasure.lift import lift as let_in
from passona.errors import ConfigurationError, Exit
from passona.masking.messages import counted, printable
from passona.monitoring import logs


@options.verb(
    'passona forget "+44 7123 456789"           a phone with its country code',
    "passona forget --file requests.txt         one a line, # begins a comment",
    "passona forget --file - < requests.txt     so that no number is in the shell's history",
    "passona forget p_3f9a2c41_0123456789abcdef0123456789abcdef",
    "passona forget --dry-run --file requests.txt",
    'passona forget --lift "+44 7123 456789"    it was a mistake: let the person in again',
    'passona forget --account brand_a "+44 7123 456789"   for one of several brands alone',
)
@click.argument("phones", nargs=-1, metavar="[PHONE ...]")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="File of phone numbers, one a line; - is standard input.",
)
@click.option("--lift", is_flag=True, help="Reverse it: the next load brings these people back.")
@click.option("--account", metavar="NAME", help="Only in this account's campaigns and loads; default: in all.")
@click.option("--dry-run", is_flag=True, help="Only count what would be erased or become due.")
@options.wait
def forget(
    *, phones: Sequence[str], file: Path | None, lift: bool, account: str | None, dry_run: bool, wait: float
) -> int:
    """Erase people from the warehouse and its published copies, and keep them out.

    PHONE is a phone number with its country code, or a token of a pseudonymous warehouse. This deletes the person's
    rows from every table, rebuilds the marts, rewrites the file and searches its bytes. Later loads leave the
    person out; the ledger counts these rows as suppressed.

    A published copy that is missing, open in another process, or of another privacy mode or key is reported,
    and the exit code is not 0: fix it, and run the command again.

    --lift reverses this: loads no longer leave these people out, and every report that may lack rows is due. The
    next load brings back what Passona still has, except campaigns past retain_days. Texts erased from your own
    tables stay erased.

    --account limits both to the campaigns of one account: other accounts keep the person. Tables of your own are
    named and not changed, and the bytes are searched only for numbers that nothing else in the file has.
    """
    texts = [(f"argument {number}", phone) for number, phone in enumerate(phones, 1)]
    texts += options.lines_of(file) if file else []
    if not texts:
        raise click.UsageError("give a phone, or --file with one a line")
    return (_lift if lift else _forget)(texts, account, wait, dry_run=dry_run)


def _forget(texts: Texts, account: str | None, wait: float, *, dry_run: bool) -> int:
    privacy_settings, address = load_privacy_settings(), existing_warehouse()
    with spinner("counting rows" if dry_run else "erasing rows"):
        result = erase(address, texts, privacy_settings, wait, logs.notify, account=account, dry_run=dry_run)
    code = Exit.OK
    if not dry_run:
        code = _rebuild_marts(address, wait) if result.built else Exit.OK
        with spinner("rewriting and searching the files"):
            rewrite_all(address, texts, privacy_settings, wait, logs.notify, into=result, account=account)
    place = f"in account {account}" if account else "here"
    for where in result.unfound:
        logs.notify(f"{where}: nobody of this number was found {place}; numbers need their country code")
    for table in result.elsewhere:
        logs.notify(
            f"{table} is not a table of passona-warehouse and names these people too: erase them there yourself"
        )
    for file, count in result.unsearched.items():
        logs.notify(
            f"{file}: its bytes were not searched for {counted(count, 'number')}, which other accounts or tables of "
            "your own still have"
        )
    _print_forgotten(result, f" in account {account}" if account else "", dry_run=dry_run)
    for error in result.left:
        logs.notify(str(error))
    return min({code, *(error.exit_code for error in result.left)} - {Exit.OK}, default=Exit.OK)


def _lift(texts: Texts, account: str | None, wait: float, *, dry_run: bool) -> int:
    with spinner("searching for what is due"):
        result = let_in(
            existing_warehouse(), texts, load_privacy_settings(), wait, logs.notify, account=account, dry_run=dry_run
        )
    for where in result.unknown:
        logs.notify(f"{where}: nobody of this number is kept out here")
    if result.people:
        _print_lifted(result, dry_run=dry_run)
    for error in result.left:
        logs.notify(str(error))
    return min((error.exit_code for error in result.left), default=Exit.OK)


def _print_lifted(result: Lifted, *, dry_run: bool) -> None:
    people = "1 person" if result.people == 1 else f"{result.people} people"
    reports = counted(len(result.due), "report")
    if dry_run:
        click.echo(f"{people} would be let in again; {reports} would be due; nothing was changed")
    else:
        command = "passona load --transform" if result.built else "passona load"
        click.echo(f"{people} let in again; {reports} due: run {command}")
    if result.unlisted:
        uuids = ", ".join(sorted({campaign_id for campaign_id, _ in result.unlisted}))
        click.echo(
            f"{counted(len(result.unlisted), 'report')} of these only come with passona load UUID or passona "
            f"import-csv, because the campaigns are not listed: {uuids}"
        )
    if result.expired:
        click.echo(f"{counted(len(result.expired), 'report')} cannot come back: past retain_days")


def _rebuild_marts(address: Address, wait: float) -> Exit:
    """Build the marts without these people, unless dbt is not installed."""
    try:
        check_installed(address)
    except ConfigurationError:
        logs.notify("dbt is not installed here: run passona transform where it is; until then totals count them still")
        return Exit.OK
    return run_transform(lambda: transform(address, load_timezones(), wait, logs.notify)).exit_code


def _print_forgotten(result: Forgotten, where: str, *, dry_run: bool) -> None:
    table = Table("table", "rows", title="would be erased" if dry_run else "erased", title_justify="left")
    table.columns[1].justify = "right"
    for name, rows in sorted(result.tables.items()):
        table.add_row(escape(printable(name)), f"{rows:,}")
    Console().print(table)
    people = "1 person" if result.people == 1 else f"{result.people} people"
    if dry_run:
        click.echo(f"{people}; nothing was changed")
        return
    searched = f", {result.searched:,} bytes searched" if result.searched else ""
    left = f"; NOT in {len(result.left)} of the published copies" if result.left else ""
    files = "1 file" if len(result.files) == 1 else f"{len(result.files)} files"
    click.echo(f"{people} forgotten{where}; {files} rewritten{searched}{left}")
