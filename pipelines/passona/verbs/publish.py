"""`passona publish`."""

from __future__ import annotations

from pathlib import Path

import click

from passona import options
from passona.ending import Ending


@click.command(
    epilog="""\b
Examples:
  passona publish /srv/passona/readers.duckdb
  passona publish --marts-only figures.duckdb       no phone, no message in it
  passona load --publish /srv/passona/readers.duckdb"""
)
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@options.marts_only
@options.on_failure
@options.wait
@options.as_json
@options.talkative
def publish(*, path: Path, marts_only: bool, on_failure: str | None, wait: float, as_json: bool) -> None:
    """Put a consistent copy for readers at PATH.

    Checked (as many rows as the ledger says) and put in place whole: who holds the old one goes on
    undisturbed, and finds the new one when opening PATH again. A new copy is its owner's alone, one that is
    there hands on its mode. With --marts-only the sums of schema analytics alone, without any person.
    """
    with Ending(None, on_failure):
        from passona.address import warehouse_address
        from passona.publish import publish_warehouse
        from passona.screen import json_text, print_published, published_document, working
        from passona.target import target

        warehouse = warehouse_address()
        place = target(path, warehouse, personal=not marts_only)
        with working("copying and checking the warehouse"):
            published = publish_warehouse(warehouse, place, wait, options.say, marts_only=marts_only)
        if as_json:
            click.echo(json_text(published_document(published)))
        else:
            print_published(published)
