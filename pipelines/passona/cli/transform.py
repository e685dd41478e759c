"""`passona transform`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.monitoring.notifications import RunEnd

if TYPE_CHECKING:
    from passona.analytics.transform import Transformed
    from passona.config.address import Address


@click.command(
    epilog="""\b
Examples:
  passona transform
  passona transform --full-refresh
  passona transform --select campaigns --json"""
)
@click.option("--full-refresh", is_flag=True, help="Build all campaigns anew, not only those that changed.")
@click.option("--select", multiple=True, metavar="MODEL", help="Only this, in dbt's words; may be repeated.")
@options.on_failure
@options.wait
@options.as_json
@options.output_options
def transform(*, full_refresh: bool, select: Sequence[str], on_failure: str | None, wait: float, as_json: bool) -> None:
    """Build and test the models of schema analytics on the warehouse.

    Exit codes: 0 built and all tests passed, 4 tests failed (what depends on them is not built), 6 busy.
    """
    with RunEnd(None, on_failure) as ending:
        from passona.analytics.transform import BuildRequest, transform
        from passona.cli.screen import json_text, transformed_document
        from passona.config.address import warehouse_address
        from passona.config.configuration import load_timezone

        address, wanted = warehouse_address(), BuildRequest(full_refresh, tuple(select))
        outcome = run_transform(
            lambda: transform(address, load_timezone(), wait, options.notify, wanted), address, quiet=as_json
        )
        ending.document = transformed_document(outcome, address)
        if as_json:
            click.echo(json_text(ending.document))
    sys.exit(outcome.exit_code)


def run_transform(build: Callable[[], Transformed], address: Address, *, quiet: bool) -> Transformed:
    """A transformation; what failed and what is odd goes to stderr, the table to stdout unless `quiet`."""
    from passona.cli.screen import print_transformed, spinner

    with spinner("building and testing the models"):
        outcome = build()
    for line in outcome.failures:
        options.notify(f"transform: failed: {line}")
    for line in outcome.warnings:
        options.notify(f"transform: warning: {line}")
    if not quiet:
        print_transformed(outcome, address)
    return outcome
