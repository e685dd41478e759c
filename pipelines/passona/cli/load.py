"""`passona load`."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from passona.analytics.publish import Published, Unpublished, publish
from passona.analytics.target import target
from passona.analytics.transform import Transformed, build, check_installed, check_models
from passona.cli import options
from passona.cli.outcome import outcome_document, print_outcome
from passona.cli.publish import print_published, published_document
from passona.cli.screen import json_text, progress_bars
from passona.cli.transform import print_transformed, run_transform, transformed_document
from passona.config.address import warehouse_address
from passona.config.configuration import load_accounts, load_timezones
from passona.config.settings import Settings, campaign_uuid
from passona.errors import ConfigurationError, Exit, PassonaError
from passona.masking.messages import format_error, masked
from passona.monitoring import logs
from passona.monitoring.notifications import RunEnd
from passona.reports.definitions import Report
from passona.warehouse.atomic_file import AtomicFile
from passona.warehouse.database import Database, open_database
from passona.warehouse.load import Load, LoadRequest
from passona.warehouse.retention import rewrite_after_expiry
from passona.warehouse.run import Outcome


def _since(_context: click.Context, _parameter: click.Parameter, date: datetime | None) -> datetime | None:
    return date.replace(tzinfo=UTC) if date else None


def _uuids(uuids: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """Return the campaigns from the arguments and the file (-: standard input), one a line; # begins a comment."""
    campaigns = [campaign_uuid(uuid) for uuid in uuids]
    if file is not None:
        lines = options.lines_of(file)
        if not lines:
            name = "standard input" if str(file) == "-" else masked(file.name)
            raise ConfigurationError(f"{name} names no campaign: expected one uuid a line")
        campaigns += [campaign_uuid(text, place) for place, text in lines]
    return tuple(dict.fromkeys(campaigns))


@options.verb(
    "passona load                               all campaigns, what is due",
    "passona load dc8a7564-fb1e-11e9-abb5-0242ac120008",
    "passona load --report clicks --report delivery",
    "passona load --campaigns-file due.txt --json",
    "passona load --transform                   and builds the models on it",
    "passona load --publish readers.duckdb      and puts a copy there for readers",
)
@click.argument("uuids", nargs=-1, metavar="[UUID ...]")
@options.reports
@click.option(
    "--campaigns-file", type=click.Path(path_type=Path), help="File of uuids, one a line; - is standard input."
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_since,
    help="Only campaigns that ended at this date (UTC) or later.",
)
@click.option("--refresh", is_flag=True, help="Load and rewrite settled and unchanged reports too.")
@click.option("--accept-shrink", is_flag=True, help="Accept reports, and a campaign list, that have shrunk.")
@click.option("--transform", "then_transform", is_flag=True, help="Then build the models, as passona transform does.")
@click.option(
    "--publish",
    "publish_to",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Then write a copy for readers to PATH, as passona publish does.",
)
@options.marts_only
@options.accounts
@options.metrics
@options.on_failure
@options.wait
@options.as_json
def load(
    *,
    uuids: Sequence[str],
    reports: tuple[Report, ...],
    campaigns_file: Path | None,
    since: datetime | None,
    refresh: bool,
    accept_shrink: bool,
    then_transform: bool,
    publish_to: Path | None,
    marts_only: bool,
    accounts: Sequence[str],
    metrics: AtomicFile | None,
    on_failure: str | None,
    wait: float,
    as_json: bool,
) -> Exit:
    """Bring the warehouse up to date.

    Loads the reports that are due, of these campaigns or of all that the API lists. Settled reports cost no
    request. A load that failed in part is still published, because each report is complete or absent; a load whose
    models failed is not.

    Exit codes: 0 all loaded, 1 a bug or an unwritable database, 2 usage or configuration, 3 token refused, 4 some
    reports failed, 5 some held, 6 busy; 130 after Ctrl-C, 143 after SIGTERM.
    """
    with RunEnd(metrics, on_failure) as run:
        if marts_only and publish_to is None:
            raise click.UsageError("--marts-only is for --publish PATH")
        if accounts and publish_to is not None:
            raise click.UsageError(
                "--publish copies the whole warehouse, of all accounts: after load --account, run passona publish "
                "--account NAME PATH"
            )
        request = LoadRequest(_uuids(uuids, campaigns_file), reports, since, refresh, accept_shrink)
        then = _Then(then_transform, publish_to, marts_only)
        return _load(request, load_accounts(*accounts), then, wait, run, as_json=as_json)


@dataclass(frozen=True)
class _Then:
    """What follows a load, before the warehouse is closed."""

    transform: bool
    publish_to: Path | None
    marts_only: bool


def _load(
    request: LoadRequest, accounts: Sequence[Settings], then: _Then, wait: float, run: RunEnd, *, as_json: bool
) -> Exit:
    run.warehouse = address = warehouse_address()
    if then.transform:
        check_installed(address)
    place = target(then.publish_to, address, personal=not then.marts_only) if then.publish_to else None
    transformed = published = None
    with closing(open_database(address, wait, logs.notify)) as database:
        if then.transform:
            check_models(database)
        outcome = _run(accounts, database, request)
        if not as_json:
            print_outcome(outcome, address)
        rewrite_after_expiry(database, wait, logs.notify)
        if then.transform:
            transformed = run_transform(lambda: build(database, load_timezones()))
            if not as_json:
                print_transformed(transformed, address)
        if place:
            published = _publish(database, place, then, transformed, quiet=as_json)
    exits = outcome.exits | (transformed.exits if transformed else set())
    if isinstance(published, Unpublished) and published.exit_code:
        exits.add(published.exit_code)
    code = min(exits, default=Exit.OK)
    steps = {
        "transform": transformed and transformed_document(transformed, address),
        "publish": published and published_document(published),
    }
    run.document = outcome_document(outcome, code, address) | {name: step for name, step in steps.items() if step}
    if as_json:
        click.echo(json_text(run.document))
    return code


def _run(accounts: Sequence[Settings], database: Database, request: LoadRequest) -> Outcome:
    with progress_bars() as progress:
        try:
            return Load(accounts, database, request, progress).run()
        except OSError as error:
            error.filename = error.filename or database.work.path  # write() names no file
            raise


def _publish(
    database: Database, place: AtomicFile, then: _Then, transformed: Transformed | None, *, quiet: bool
) -> Published | Unpublished:
    """Publish the copy, or report why it was not: the load itself succeeded."""
    if transformed and transformed.exit_code:
        return _unpublished(place, "the models failed, the old copy stays", Exit.OK)
    try:
        published = publish(database.engine.checkpointed(), place, marts_only=then.marts_only)
    except (PassonaError, OSError) as error:
        return _unpublished(place, *format_error(error))
    if not quiet:
        print_published(published)
    return published


def _unpublished(place: AtomicFile, reason: str, code: Exit) -> Unpublished:
    logs.notify(f"{place.path} was not published: {reason}")
    return Unpublished(reason, code)
