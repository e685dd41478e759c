"""`passona status`."""

import dataclasses
from datetime import datetime
from typing import Any

import click

from passona.cli import options
from passona.cli.screen import new_table, plain, print_result, stdout_console
from passona.config.address import warehouse_address
from passona.config.configuration import load_retain_days
from passona.errors import Exit
from passona.masking.messages import counted
from passona.monitoring import logs
from passona.monitoring.status import USUAL_AGE, Run, Status, age, format_age
from passona.monitoring.status import status as status_of

# Failed and held reports shown one by one; a bad night has thousands, and --json has them all.
MOST_TROUBLES = 20


@options.verb(
    "passona status", "passona status --max-age 26h      as a monitor's probe: 0 fresh, 4 not", "passona status --json"
)
@click.option(
    "--max-age",
    metavar="AGE",
    help="Exit with 4 if anything is older than this (26h, 90m, 2d). Default: show what is older than 26h.",
)
@click.option("--account", metavar="NAME", help="Only this account.")
@options.wait
@options.as_json
def status(*, max_age: str | None, account: str | None, wait: float, as_json: bool) -> Exit:
    """Show how fresh the warehouse is, and what is wrong with it.

    Reads only the warehouse: the last runs, the state of each report, which reports failed or are held and why, and
    what is overdue. Needs no token, sends no request and changes nothing. Campaigns past retain_days are not
    overdue, so set it here as for the loads.

    Exit codes: 0, with --max-age 4 if something is overdue; 2 no warehouse, 6 busy.
    """
    limit = age(max_age) if max_age else USUAL_AGE
    result = status_of(warehouse_address(), limit, wait, logs.notify, load_retain_days(), account=account)
    print_result(_document(result), lambda: _print(result), as_json=as_json)
    return Exit.FAILED if max_age and result.overdue else Exit.OK


def _document(status: Status) -> dict[str, Any]:
    """Return what `--json` prints. Accounts appear only if the warehouse names some."""
    document = dataclasses.asdict(status)
    document |= {"max_age": status.max_age.total_seconds(), "fresh": not status.overdue}
    if not status.accounts:
        for part in (document, *document["runs"], *document["troubles"]):
            part.pop("accounts", part.pop("account", None))
    return document


def _print(status: Status) -> None:
    """Print the runs, the reports and what is wrong; the last line sums it up."""
    console = stdout_console()
    _print_runs(status)
    console.print()
    _print_reports(status)
    if status.troubles:
        console.print()
        _print_troubles(status)
    console.print()
    for line in status.overdue:
        console.print(plain(f"overdue: {line}"), soft_wrap=True)
    console.print(plain(f"{_verdict(status)}: {status.path}"), soft_wrap=True)


def _verdict(status: Status) -> str:
    parts = [counted(len(status.troubles), "report") + " failed or held"] if status.troubles else []
    parts += [counted(len(status.overdue), "line") + " overdue"] if status.overdue else []
    return ", ".join(parts) or f"all is fresh, nothing is older than {format_age(status.max_age)}"


def _print_runs(status: Status) -> None:
    accounts = ["account"] if status.accounts else []
    table = new_table("last runs (UTC)", "verb", *accounts, "outcome", "took", "requests", "rows", numbers=False)
    for column in table.columns[-3:]:
        column.justify = "right"
    for run in status.runs:
        table.add_row(
            f"{run.started_at:%Y-%m-%d %H:%M}", run.verb, *[run.account or "" for _ in accounts], run.outcome,
            _took(run), _number(run.requests), _number(run.row_count),
        )  # fmt: skip
    stdout_console().print(table)


def _print_reports(status: Status) -> None:
    table = new_table(
        "report", "settled", "open", "failed", "held", "never loaded", "stale", "rows", "oldest not settled (UTC)"
    )
    for name, report in status.reports.items():
        numbers = (
            report.settled, report.open, report.failed, report.held, report.never_loaded, report.stale, report.rows,
        )  # fmt: skip
        table.add_row(name, *map(_number, numbers), _instant(report.oldest))
    stdout_console().print(table)


def _print_troubles(status: Status) -> None:
    accounts = ["account"] if status.accounts else []
    table = new_table(*accounts, "campaign", "name", "report", "state", "checked (UTC)", "rows are of", numbers=False)
    console = stdout_console()
    for trouble in status.troubles[:MOST_TROUBLES]:
        table.add_row(
            *[trouble.account or "" for _ in accounts], trouble.campaign_id, plain(trouble.name or ""), trouble.report,
            trouble.state, _instant(trouble.checked_at), _instant(trouble.verified_at) or "-",
        )  # fmt: skip
    console.print(table)
    for line in dict.fromkeys(trouble.error or "" for trouble in status.troubles[:MOST_TROUBLES]):
        console.print(plain(f"  {line}"), soft_wrap=True)
    more = len(status.troubles) - MOST_TROUBLES
    if more > 0:
        console.print(f"and {more:,} more; --json lists all")


def _took(run: Run) -> str:
    return f"{(run.finished_at - run.started_at).total_seconds():.1f} s" if run.finished_at else ""


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _instant(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else ""
