"""What a load or an import did: a table for people, a document for programs."""

from typing import Any

from rich.table import Table

from passona.cli.screen import new_table, plain, stdout_console
from passona.config.address import Address
from passona.errors import Exit
from passona.masking.messages import counted
from passona.warehouse.run import Outcome, ReportOutcome


def print_outcome(outcome: Outcome, address: Address) -> None:
    """Print the table of a load, unless an error ended it before the first report."""
    if outcome.errors and not any(report.any for report in outcome.reports.values()):
        return
    table = new_table("report", "loaded", "unchanged", "failed", "held", "pages", "rows", "field rows", "issues")
    counts = {name: _counts(report).values() for name, report in outcome.reports.items()}
    for name, numbers in counts.items():
        table.add_row(name, *(f"{number:,}" for number in numbers))
    table.add_section()
    table.add_row("all", *(f"{sum(column):,}" for column in zip(*counts.values(), strict=True)))
    console = stdout_console()
    console.print(table)
    if outcome.accounts:
        console.print()
        console.print(_account_table(outcome))
    summary = (
        f"{counted(outcome.campaigns, 'campaign')}, {counted(outcome.requests, 'request')}, "
        f"{outcome.seconds:.1f} s, {outcome.word}: {address}"
    )
    console.print(plain(summary), soft_wrap=True)


def _account_table(outcome: Outcome) -> Table:
    """Return what each account of a load did."""
    columns = ("loaded", "unchanged", "failed", "held", "rows")
    table = new_table("account", "campaigns", "requests", *columns, "outcome")
    table.columns[-1].justify = "left"
    for name, part in outcome.accounts.items():
        reports = [_counts(report) for report in part.reports.values()]
        numbers = (part.campaigns, part.requests, *(sum(report[column] for report in reports) for column in columns))
        table.add_row(name, *(f"{number:,}" for number in numbers), part.word)
    return table


def _counts(report: ReportOutcome) -> dict[str, int]:
    return {
        "loaded": report.loaded,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "held": report.held,
        "pages": report.pages,
        **{name: report.counts[name] for name in ("rows", "field_rows", "issues")},
    }


def outcome_document(outcome: Outcome, code: Exit, address: Address) -> dict[str, Any]:
    """Return what `--json` prints. `code`: the exit code of the command."""
    return {
        "run_id": outcome.run_id,
        "outcome": code.word,
        "exit_code": int(code),
        "warehouse": str(address),
        "campaigns": outcome.campaigns,
        "requests": outcome.requests,
        "seconds": round(outcome.seconds, 3),
        "reports": {name: _counts(report) for name, report in outcome.reports.items()},
        "erased": outcome.erased,
        "drift": outcome.drift,
        "errors": outcome.errors,
    } | ({"accounts": _account_documents(outcome, address)} if outcome.accounts else {})


def _account_documents(outcome: Outcome, address: Address) -> dict[str, Any]:
    return {name: outcome_document(part, part.exit_code, address) for name, part in outcome.accounts.items()}
