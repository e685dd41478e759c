"""`passona publish`."""

from __future__ import annotations

from pathlib import Path

import click

from passona.cli import options
from passona.monitoring.notifications import RunEnd


@click.command(
    epilog="""\b
Examples:
  passona publish /srv/passona/readers.duckdb
  passona publish --marts-only figures.duckdb       no phone, no message in it
  passona publish --privacy pseudonymous analysts.duckdb
  passona load --publish /srv/passona/readers.duckdb"""
)
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@options.marts_only
@click.option(
    "--privacy",
    type=click.Choice(["pseudonymous", "minimal"]),
    help="Keep of people what this mode keeps, by sources.passona.privacy_key: of a clear warehouse.",
)
@options.on_failure
@options.wait
@options.as_json
@options.output_options
def publish(
    *, path: Path, marts_only: bool, privacy: str | None, on_failure: str | None, wait: float, as_json: bool
) -> None:
    """Put a consistent copy for readers at PATH.

    Checked (as many rows as the ledger says) and put in place whole: who holds the old one goes on
    undisturbed, and finds the new one when opening PATH again. A new copy is its owner's alone, one that is
    there hands on its mode. With --marts-only the sums of schema analytics alone, without any person. With
    --privacy a copy of a clear warehouse as a load in that mode would have stored it: all rows, tokens for phones,
    without what you made or added yourself.
    """
    with RunEnd(None, on_failure):
        from passona.analytics.publish import publish_warehouse
        from passona.analytics.target import target
        from passona.cli.screen import json_text, print_published, published_document, spinner
        from passona.config.address import warehouse_address
        from passona.config.configuration import load_privacy_settings
        from passona.masking.policy import CLEAR
        from passona.warehouse.policy_table import privacy_of_copy

        if marts_only and privacy:
            raise click.UsageError("--marts-only has no rows of persons: leave --privacy out")
        kept = privacy_of_copy(load_privacy_settings(), privacy) if privacy else CLEAR
        warehouse = warehouse_address()
        place = target(path, warehouse, personal=not marts_only)
        with spinner("copying and checking the warehouse"):
            published = publish_warehouse(warehouse, place, wait, options.notify, marts_only=marts_only, privacy=kept)
        if as_json:
            click.echo(json_text(published_document(published)))
        else:
            print_published(published)
