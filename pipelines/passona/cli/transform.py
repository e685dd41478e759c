"""`passona transform`."""

from collections.abc import Callable
from typing import Any

import click

from passona.analytics.transform import SCHEMA, Transformed
from passona.analytics.transform import transform as transform_warehouse
from passona.cli import options
from passona.cli.screen import new_table, print_result, spinner, stdout_console
from passona.config.address import Address, warehouse_address
from passona.config.configuration import load_timezones
from passona.errors import Exit
from passona.monitoring import logs
from passona.monitoring.notifications import RunEnd


@options.verb("passona transform", "passona transform --full-refresh", "passona transform --json")
@click.option("--full-refresh", is_flag=True, help="Rebuild all campaigns, not only those that changed.")
@options.on_failure
@options.wait
@options.as_json
def transform(*, full_refresh: bool, on_failure: str | None, wait: float, as_json: bool) -> Exit:
    """Build and test the models of schema analytics on the warehouse.

    Exit codes: 0 built and all tests passed, 4 tests failed (what depends on them is not built), 6 busy.
    """
    with RunEnd(None, on_failure) as run:
        address, timezones = warehouse_address(), load_timezones()
        outcome = run_transform(
            lambda: transform_warehouse(address, timezones, wait, logs.notify, full_refresh=full_refresh)
        )
        run.document = transformed_document(outcome, address)
        print_result(run.document, lambda: print_transformed(outcome, address), as_json=as_json)
    return outcome.exit_code


def run_transform(build: Callable[[], Transformed]) -> Transformed:
    """Run a transformation, and report its failures and warnings on stderr."""
    with spinner("building and testing the models"):
        outcome = build()
    for line in outcome.failures:
        logs.notify(f"transform: failed: {line}")
    for line in outcome.warnings:
        logs.notify(f"transform: warning: {line}")
    return outcome


def print_transformed(outcome: Transformed, address: Address) -> None:
    """Print the table of a transformation."""
    table = new_table("built", "tests passed", "warnings", "failed", "skipped", "seconds")
    numbers = [outcome.built, outcome.passed, len(outcome.warnings), len(outcome.failures), outcome.skipped]
    table.add_row(*(f"{number:,}" for number in numbers), f"{outcome.seconds:.1f}")
    console = stdout_console()
    console.print(table)
    console.print(f"{outcome.word}: schema {SCHEMA} of {address}", soft_wrap=True, markup=False)


def transformed_document(outcome: Transformed, address: Address) -> dict[str, Any]:
    return {
        "outcome": outcome.word,
        "exit_code": int(outcome.exit_code),
        "warehouse": str(address),
        "built": outcome.built,
        "passed": outcome.passed,
        "skipped": outcome.skipped,
        "seconds": round(outcome.seconds, 3),
        "warnings": outcome.warnings,
        "failures": outcome.failures,
    }
