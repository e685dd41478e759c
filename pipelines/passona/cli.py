"""Verbs of the command line: arguments in, an exit code out. Results on stdout, all else on stderr.

What takes time to import (dlt, pyarrow, duckdb) is imported by the verb that needs it: `--help` and a
wrong option must not pay for it.
"""

from __future__ import annotations

import errno
import io
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from passona.errors import ConfigurationError, Exit, Interrupted, PassonaError, causes, masked, printable
from passona.interruption import leave, listen
from passona.reports import REPORTS, Report
from passona.settings import campaign_uuid

if TYPE_CHECKING:
    from passona.load import Wish
    from passona.transform import Transformed, Wanted


log = logging.getLogger("passona")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Verbs(click.Group):
    """Turns errors meant for people into one line and the contract's exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        listen()
        logging.basicConfig(format="%(levelname).1s %(message)s", level=logging.ERROR)
        log.setLevel(logging.WARNING)
        try:
            super().main(*args, **{**kwargs, "standalone_mode": False})
        except SystemExit:
            raise
        except click.ClickException as error:
            said = io.StringIO()
            error.show(said)
            click.echo(masked(said.getvalue()), err=True, nl=False)
            sys.exit(Exit.USAGE)
        except BaseException as error:  # noqa: BLE001  # the last line of defence: one line instead of a traceback
            sys.exit(_fail(error))
        sys.exit(Exit.OK)


def _fail(error: BaseException) -> Exit:
    """Says in one line what went wrong; the code to exit with."""
    for cause in causes(error):
        if isinstance(cause, Interrupted):
            leave(cause.number)
    line, code = _said(error)
    if log.isEnabledFor(logging.DEBUG):
        click.echo(_trace(error), err=True, nl=False)
    click.echo(f"passona: {printable(line)}", err=True)
    return code


def _said(error: BaseException) -> tuple[str, Exit]:
    if isinstance(error, PassonaError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        line = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        return (f"{line}; make room and run again", Exit.FAULT) if error.errno in _FULL else (line, Exit.USAGE)
    return f"a fault in this program ({type(error).__name__}); --debug shows where", Exit.FAULT


def _trace(error: BaseException) -> str:
    """Where the error came from. The words of other people's errors are left out: they may quote a row."""
    lines = []
    for cause in causes(error):
        said = f": {cause}" if isinstance(cause, PassonaError | OSError) else ""
        lines += [*traceback.format_tb(cause.__traceback__), f"{type(cause).__name__}{printable(said)}\n"]
    return "".join(lines)


def _level(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
    def lower(_context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if wanted:
            log.setLevel(min(level, log.level))

    return lower


def _talkative(verb: Any) -> Any:
    """The options that every verb has, and that may stand before it too."""
    for names, level, text in (
        (("--debug",), logging.DEBUG, "Show where an error came from."),
        (("-v", "--verbose"), logging.INFO, "Say on stderr what is retried and walked again."),
    ):
        verb = click.option(*names, is_flag=True, expose_value=False, callback=_level(level), help=text)(verb)
    return verb


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Start with: passona load")
@click.version_option(version("passona-warehouse"), prog_name="passona")
@_talkative
def main() -> None:
    """Passona's SMS campaign reports in a DuckDB warehouse."""


def _reports(_context: click.Context, _parameter: click.Parameter, names: Sequence[str]) -> tuple[Report, ...]:
    return tuple(REPORTS[name] for name in dict.fromkeys(names)) or tuple(REPORTS.values())


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


@main.command(
    epilog="""\b
Examples:
  passona load                               all campaigns, what is due
  passona load dc8a7564-fb1e-11e9-abb5-0242ac120008
  passona load --report clicks --report delivery
  passona load --campaigns-file due.txt --json
  passona load --transform                   and builds the models on it"""
)
@click.argument("uuids", nargs=-1, metavar="[UUID ...]")
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Choice(list(REPORTS)),
    callback=_reports,
    help="Only this report; may be repeated.",
)
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
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for whoever holds the warehouse.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@_talkative
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
    sys.exit(_load(wish, wait, then_transform=then_transform, as_json=as_json))


def _load(wish: Wish, wait: float, *, then_transform: bool, as_json: bool) -> int:
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
    transformed = _transform(Wanted(), wait, quiet=as_json) if then_transform else None
    if as_json:
        click.echo(outcome_json(outcome, database.path, transformed))
    return min(outcome.exits | (transformed.exits if transformed else set()), default=Exit.OK)


@main.command(
    epilog="""\b
Examples:
  passona transform
  passona transform --full-refresh
  passona transform --select campaigns --json"""
)
@click.option("--full-refresh", is_flag=True, help="Build all campaigns anew, not only those that changed.")
@click.option("--select", multiple=True, metavar="MODEL", help="Only this, in dbt's words; may be repeated.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for whoever holds the warehouse.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def transform(*, full_refresh: bool, select: Sequence[str], wait: float, as_json: bool) -> None:
    """Build and test the models of schema analytics on the warehouse.

    Exit codes: 0 built and all tests passed, 4 tests failed (what depends on them is not built), 6 busy.
    """
    from passona.database import warehouse_path
    from passona.screen import transformed_json
    from passona.transform import Wanted

    outcome = _transform(Wanted(full_refresh, tuple(select)), wait, quiet=as_json)
    if as_json:
        click.echo(transformed_json(outcome, warehouse_path()))
    sys.exit(outcome.exit_code)


def _transform(wanted: Wanted, wait: float, *, quiet: bool) -> Transformed:
    """A transformation; what failed and what is odd goes to stderr, the table to stdout unless `quiet`."""
    from passona.configuration import load_timezone
    from passona.database import warehouse_path
    from passona.screen import print_transformed
    from passona.transform import transform

    def say(line: str) -> None:
        click.echo(f"passona: {line}", err=True)

    outcome = transform(warehouse_path(), load_timezone(), wait, say, wanted)
    for line in outcome.failures:
        say(f"transform: failed: {line}")
    for line in outcome.warnings:
        say(f"transform: warning: {line}")
    if not quiet:
        print_transformed(outcome, warehouse_path())
    return outcome


@main.command(
    epilog="""\b
Examples:
  passona campaigns
  passona campaigns --json"""
)
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for whoever holds the warehouse.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@_talkative
def campaigns(*, wait: float, as_json: bool) -> None:
    """List the campaigns and the state of each report.

    Asks the API for the list and the warehouse for the states: never loaded, open, settled, failed, held.
    Changes nothing.
    """
    from passona.configuration import load_settings
    from passona.database import warehouse_path
    from passona.overview import overview
    from passona.screen import overview_json, print_overview

    found = overview(load_settings(), warehouse_path(), wait, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(overview_json(found))
    else:
        print_overview(found)


@main.command(
    epilog="""\b
Examples:
  passona report report.html
  passona report --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008 one.html"""
)
@click.argument("out", metavar="OUT.html", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--campaign", metavar="UUID", help="Only this campaign.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for whoever holds the warehouse.")
def report(*, out: Path, campaign: str | None, wait: float) -> None:
    """Write one page of figures and charts.

    Takes the figures from the marts that `passona transform` builds. The page needs no network and holds
    no phone number and no message.
    """
    from passona.database import warehouse_path
    from passona.report import write_report

    chosen = campaign_uuid(campaign) if campaign else None
    found = write_report(warehouse_path(), out, chosen, wait, lambda line: click.echo(f"passona: {line}", err=True))
    click.echo(f"{out}: {len(found.campaigns):,} campaign{'' if len(found.campaigns) == 1 else 's'}")


@main.command(
    epilog="""\b
Examples:
  passona sandbox --port 8080
  passona sandbox --rows 1000000 --per-page-limit 50
  passona sandbox --faults faults.json"""
)
@click.option("--port", default=0, show_default="a free one", help="Port on 127.0.0.1.")
@click.option("--campaigns", default=5, show_default=True, help="Finished campaigns beside the special ones.")
@click.option("--rows", default=10_000, show_default=True, help="Rows in all reports together.")
@click.option("--seed", default=1, show_default=True, help="Another seed, other campaigns.")
@click.option("--hostile", is_flag=True, help="Make oddities frequent, and worse.")
@click.option("--per-page-limit", default=500, show_default=True, help="Largest page the server grants.")
@click.option("--ignore-per-page", is_flag=True, help="Serve 50 rows a page whatever is asked.")
@click.option(
    "--links",
    type=click.Choice(["bare", "rooted", "absolute", "foreign"]),
    default="bare",
    show_default=True,
    help="How links in reports are written.",
)
@click.option("--latency", default=0.0, show_default=True, help="Seconds before each answer.")
@click.option("--rate-limit", type=int, help="Requests a minute; more are answered with 429.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of rules: what to do wrong, where, how often.",
)
@_talkative
def sandbox(
    *,
    port: int,
    campaigns: int,
    rows: int,
    seed: int,
    hostile: bool,
    per_page_limit: int,
    ignore_per_page: bool,
    links: Any,
    latency: float,
    rate_limit: int | None,
    faults: Path | None,
) -> None:
    """Run a local Passona with made-up campaigns.

    The token is sandbox. Prints the base address when it is ready; Ctrl-C ends it.
    """
    from sandbox import Switches, run

    switches = Switches(
        per_page_limit=per_page_limit,
        honour_per_page=not ignore_per_page,
        links=links,
        latency=latency,
        rate_limit=rate_limit,
    )
    try:
        run(port=port, campaigns=campaigns, rows=rows, seed=seed, hostile=hostile, faults=faults, switches=switches)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"sandbox: {error}") from error
