"""`passona transform`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.errors import Exit
from passona.monitoring import logs
from passona.monitoring.notifications import RunEnd

if TYPE_CHECKING:
    from passona.analytics.transform import Transformed


@options.verb("passona transform", "passona transform --full-refresh", "passona transform --select campaigns --json")
@click.option("--full-refresh", is_flag=True, help="Rebuild all campaigns, not only those that changed.")
@click.option("--select", multiple=True, metavar="MODEL", help="Only these, as in dbt's --select; may be repeated.")
@options.on_failure
@options.wait
@options.as_json
def transform(*, full_refresh: bool, select: Sequence[str], on_failure: str | None, wait: float, as_json: bool) -> Exit:
    """Build and test the models of schema analytics on the warehouse.

    Exit codes: 0 built and all tests passed, 4 tests failed (what depends on them is not built), 6 busy.
    """
    with RunEnd(None, on_failure) as run:
        from passona.analytics.transform import BuildRequest, transform
        from passona.cli.screen import print_result, print_transformed, transformed_document
        from passona.config.address import warehouse_address
        from passona.config.configuration import load_timezone

        address, request = warehouse_address(), BuildRequest(full_refresh, tuple(select))
        outcome = run_transform(lambda: transform(address, load_timezone(), wait, logs.notify, request))
        run.document = transformed_document(outcome, address)
        print_result(run.document, lambda: print_transformed(outcome, address), as_json=as_json)
    return outcome.exit_code


def run_transform(build: Callable[[], Transformed]) -> Transformed:
    """Run a transformation, and report its failures and warnings on stderr."""
    from passona.cli.screen import spinner

    with spinner("building and testing the models"):
        outcome = build()
    for line in outcome.failures:
        logs.notify(f"transform: failed: {line}")
    for line in outcome.warnings:
        logs.notify(f"transform: warning: {line}")
    return outcome
