"""`passona re-key`."""

from __future__ import annotations

import click

from passona.cli import options


@click.command(
    "re-key",
    epilog="""\b
Examples:
  export SOURCES__PASSONA__PRIVACY_FORMER_KEYS='["the key until today"]'
  export SOURCES__PASSONA__PRIVACY_KEY=$(openssl rand -hex 32)
  passona re-key""",
)
@options.wait
@options.output_options
def re_key(*, wait: float) -> None:
    """Give every token of the warehouse a new key.

    Move the key that was privacy_key to the end of privacy_former_keys, set the new one, and run this. Both
    are needed from then on. Ids of rows are others afterwards, so open reports are written once more.
    """
    from passona.config.address import exists, warehouse_address
    from passona.config.configuration import load_privacy_settings
    from passona.erasure.rekey import re_key as change

    privacy_settings = load_privacy_settings()
    address = warehouse_address()
    if not exists(address):
        raise click.UsageError(f"there is no warehouse at {address}")
    changed = change(address, privacy_settings, wait, options.notify)
    click.echo(f"{changed.total():,} values in {len(changed)} tables have the new key; the file is rewritten")
    if privacy_settings.published:
        options.notify("published copies have the old tokens still: publish them anew")
