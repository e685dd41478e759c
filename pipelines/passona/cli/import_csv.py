"""`passona import-csv`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.config.settings import campaign_uuid
from passona.errors import ConfigurationError
from passona.reports.definitions import REPORTS

if TYPE_CHECKING:
    from passona.warehouse.csv_import import CsvRequest


def _instant(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """An ISO time in UTC; without an offset it is one."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            "expected an ISO date or time (2026-01-31, 2026-01-31T08:00:00, 2026-01-31T08:00:00+01:00)"
        ) from None


@click.command(
    "import-csv",
    epilog="""\b
Examples:
  passona import-csv clicks.csv --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008
  passona import-csv downloads/ --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008
  passona import-csv 's3://reports/dc8a7564/*.csv.gz' --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008
  unzip -p mail.zip | passona import-csv - --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008
  passona import-csv clicks.csv --campaign dc8a7564-... --report clicks --made-at 2026-01-31T08:00:00Z""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE ...")
@click.option(
    "--campaign", required=True, metavar="UUID", help="The campaign the files are of: nothing in them says it."
)
@click.option("--report", "name", type=click.Choice(list(REPORTS)), help="Refuse files of another report.")
@click.option(
    "--made-at",
    metavar="TIME",
    callback=_instant,
    help="When the files were made, if their own times do not say it: an ISO time, in UTC if it has no offset.",
)
@click.option(
    "--encoding",
    type=click.Choice(["utf-8", "utf-16", "cp1252", "cp850", "mac-roman"]),
    help="Read them so, whatever they look like.",
)
@click.option(
    "--reject-to",
    type=click.Path(exists=False, dir_okay=False, path_type=Path),
    metavar="NEW_FILE",
    help="Take lines that cannot be read aside, and load the others.",
)
@click.option("--accept-shrink", is_flag=True, help="Take files that have far fewer rows than before.")
@click.option(
    "--accept-mangled",
    is_flag=True,
    help="Take files of which a spreadsheet has lost most phones, most ids or all times.",
)
@options.wait
@options.as_json
@options.output_options
def import_csv(
    *,
    files: tuple[str, ...],
    campaign: str,
    name: str | None,
    made_at: datetime | None,
    encoding: str | None,
    reject_to: Path | None,
    accept_shrink: bool,
    accept_mangled: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Load reports that came by mail as .csv files.

    FILE is a file (plain or gzip), a folder with .csv files, a pattern, - for standard input, the https address
    of a mail, or an address in an object store (s3://, gs://, az://). One campaign, and one file for each of its
    reports: which report a file is, its header says. A file counts whole or not at all; the same rules hold as for
    passona load, and it needs no token. A file older than what the tables hold is refused. One whose age only its
    copy on this machine tells does not settle a report: --made-at does. What a spreadsheet did to phones is undone
    where no digit is lost; where some are, the value is NULL, and the report does not settle. Exit codes: 0 all
    loaded, 2 usage, 4 some files refused, 5 some held by the shrink guard, 6 busy.
    """
    from passona.warehouse.csv_import import CsvRequest

    if reject_to is not None and reject_to.exists():
        raise ConfigurationError(f"--reject-to: {reject_to} exists already; name a new file")
    report = REPORTS[name] if name else None
    request = CsvRequest(
        files, campaign_uuid(campaign), report, made_at, encoding, reject_to, accept_shrink, accept_mangled
    )
    sys.exit(_imported(request, wait, as_json=as_json))


def _imported(request: CsvRequest, wait: float, *, as_json: bool) -> int:
    from passona.cli.screen import json_text, outcome_document, print_outcome, progress_bars
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_settings_without_token
    from passona.warehouse.csv_import import CsvImport
    from passona.warehouse.database import open_database
    from passona.warehouse.retention import rewrite_after_expiry

    settings = load_settings_without_token()
    with progress_bars() as progress:
        database = open_database(warehouse_address(), wait, progress.notify)
        try:
            outcome = CsvImport(settings, database, request, progress).run()
            rewrite_after_expiry(database, wait, progress.notify)
        finally:
            database.close()
    if as_json:
        click.echo(json_text(outcome_document(outcome, outcome.exit_code, database.address)))
    else:
        print_outcome(outcome, database.address)
    return outcome.exit_code
