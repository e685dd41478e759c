"""`passona load`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passona import options
from passona.errors import ConfigurationError, Exit, masked
from passona.reports import Report
from passona.settings import campaign_uuid
from passona.verbs.transform import run_transform

if TYPE_CHECKING:
    from passona.load import Wish


def _since(_context: click.Context, _parameter: click.Parameter, date: datetime | None) -> datetime | None:
    return date.replace(tzinfo=UTC) if date else None


def _uuids(uuids: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """The campaigns named on the command line and in a file: one a line, # begins a comment."""
    found = [campaign_uuid(uuid) for uuid in uuids]
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise ConfigurationError(f"{masked(file.name)} is not UTF-8 text; save it as UTF-8") from None
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if text:
                found.append(campaign_uuid(text, f"{masked(file.name)}, line {number}"))
        if not found:
            raise ConfigurationError(f"{masked(file.name)} names no campaign: expected one uuid a line")
    return tuple(dict.fromkeys(found))


@click.command(
    epilog="""\b
Examples:
  passona load                               all campaigns, what is due
  passona load dc8a7564-fb1e-11e9-abb5-0242ac120008
  passona load --report clicks --report delivery
  passona load --campaigns-file due.txt --json
  passona load --transform                   and builds the models on it"""
)
@click.argument("uuids", nargs=-1, metavar="[UUID ...]")
@options.reports
@click.option(
    "--campaigns-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Campaigns, one uuid a line."
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_since,
    help="Only campaigns that ended at this date (UTC) or later.",
)
@click.option("--refresh", is_flag=True, help="Walk and rewrite settled and unchanged reports too.")
@click.option("--accept-shrink", is_flag=True, help="Take reports that have far fewer rows than before.")
@click.option(
    "--transform", "then_transform", is_flag=True, help="Build the models afterwards, as passona transform does."
)
@options.wait
@options.as_json
@options.talkative
def load(
    *,
    uuids: Sequence[str],
    reports: tuple[Report, ...],
    campaigns_file: Path | None,
    since: datetime | None,
    refresh: bool,
    accept_shrink: bool,
    then_transform: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Bring the warehouse up to date.

    Loads what is due of the campaigns given, or of all that the API lists. What is settled costs no
    request. Exit codes: 0 all loaded, 1 a fault here, 2 usage or configuration, 3 token refused, 4 some
    reports failed, 5 some held, 6 busy; 130 after Ctrl-C, 143 after SIGTERM.
    """
    from passona.load import Wish

    wish = Wish(_uuids(uuids, campaigns_file), reports, since, refresh, accept_shrink)
    sys.exit(_loaded(wish, wait, then_transform=then_transform, as_json=as_json))


def _loaded(wish: Wish, wait: float, *, then_transform: bool, as_json: bool) -> int:
    from passona.configuration import load_settings
    from passona.database import open_database, warehouse_path
    from passona.load import Load
    from passona.screen import outcome_json, print_outcome, watched
    from passona.transform import Wanted, check_installed

    settings = load_settings()
    if then_transform:
        check_installed()
    with watched() as progress:
        database = open_database(warehouse_path(), wait, progress.say)
        try:
            outcome = Load(settings, database, wish, progress).run()
        except OSError as error:
            error.filename = error.filename or database.work  # writing tells no name
            raise
        finally:
            database.close()
    if not as_json:
        print_outcome(outcome, database.path)
    transformed = run_transform(Wanted(), wait, quiet=as_json) if then_transform else None
    if as_json:
        click.echo(outcome_json(outcome, database.path, transformed))
    return min(outcome.exits | (transformed.exits if transformed else set()), default=Exit.OK)
