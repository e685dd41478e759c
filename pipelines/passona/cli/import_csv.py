"""`passona import-csv`."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from passona.cli import options
from passona.cli.outcome import outcome_document, print_outcome
from passona.cli.screen import print_result, progress_bars
from passona.config.address import warehouse_address
from passona.config.configuration import check_is_configured, configuration, settings_of
from passona.config.settings import campaign_uuid
from passona.errors import ConfigurationError, Exit
from passona.monitoring import logs
from passona.reports.definitions import REPORTS
from passona.warehouse.accounts import accounts_of
from passona.warehouse.csv_import import CsvImport, CsvRequest
from passona.warehouse.database import open_database
from passona.warehouse.retention import rewrite_after_expiry


def _instant(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """Parse an ISO time; one without an offset is in UTC."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            "expected an ISO date or time (2026-01-31, 2026-01-31T08:00:00, 2026-01-31T08:00:00+01:00)"
        ) from None


@options.verb(
    "passona import-csv clicks.csv --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008",
    "passona import-csv downloads/ --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008",
    "unzip -p mail.zip | passona import-csv - --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008",
    "passona import-csv clicks.csv --campaign dc8a7564-... --report clicks --made-at 2026-01-31T08:00:00Z",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE ...")
@click.option("--campaign", required=True, metavar="UUID", help="Campaign of the files, which do not name it.")
@click.option("--report", "name", type=click.Choice(list(REPORTS)), help="Refuse files of another report.")
@click.option(
    "--made-at",
    metavar="TIME",
    callback=_instant,
    help="When the files were generated, if they do not say: an ISO time, in UTC if it has no offset.",
)
@click.option(
    "--encoding",
    type=click.Choice(["utf-8", "utf-16", "cp1252", "cp850", "mac-roman"]),
    help="Encoding of the files, instead of detecting it.",
)
@click.option(
    "--reject-to",
    type=click.Path(exists=False, dir_okay=False, path_type=Path),
    metavar="NEW_FILE",
    help="Write unreadable lines to this file, and load the others.",
)
@click.option("--accept-shrink", is_flag=True, help="Accept files with far fewer rows than before.")
@click.option(
    "--accept-mangled",
    is_flag=True,
    help="Accept files in which a spreadsheet damaged most phones, most ids or all times.",
)
@options.account
@options.wait
@options.as_json
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
    account: str | None,
    wait: float,
    as_json: bool,
) -> Exit:
    """Load reports that came by mail as .csv files.

    FILE is a file (plain or gzip), a folder of .csv files, - for standard input, or the https address from
    a mail. All files belong to one campaign, at most one to each report; the header shows which. The rules are those
    of passona load: a file is loaded completely or not at all. Needs no token.

    A file older than the rows in the warehouse is refused. A file that does not say when it was generated does not
    settle a report; use --made-at. Phones that a spreadsheet changed are repaired if no digit is lost. Otherwise the
    value is NULL, and the report does not settle.

    Exit codes: 0 all loaded, 2 usage, 4 some files refused, 5 some held by the shrink guard, 6 busy.
    """
    if reject_to is not None and reject_to.exists():
        raise ConfigurationError(f"--reject-to: {reject_to} exists already; name a new file")
    report = REPORTS[name] if name else None
    request = CsvRequest(
        files, campaign_uuid(campaign), report, made_at, encoding, reject_to, accept_shrink, accept_mangled
    )
    config = configuration()
    if account is not None:
        check_is_configured(account, config.accounts())
    with progress_bars() as progress, closing(open_database(warehouse_address(), wait, logs.notify)) as database:
        database.prepare()
        found = accounts_of(database.connection, [request.campaign_id], config.accounts(), account)
        settings = settings_of(config, found[request.campaign_id], api_token="none")  # noqa: S106  # stands for none
        outcome = CsvImport(settings, database, request, progress).run()
        rewrite_after_expiry(database, wait, logs.notify)
    document = outcome_document(outcome, outcome.exit_code, database.address)
    print_result(document, lambda: print_outcome(outcome, database.address), as_json=as_json)
    return outcome.exit_code
