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
@options.talkative
def re_key(*, wait: float) -> None:
    """Give every token of the warehouse a new key.

    Move the key that was privacy_key to the end of privacy_former_keys, set the new one, and run this. Both
    are needed from then on. Ids of rows are others afterwards, so open reports are written once more.
    """
    from passona.config.address import exists, warehouse_address
    from passona.config.configuration import load_keeping
    from passona.erasure.rekey import re_key as change

    keeping = load_keeping()
    address = warehouse_address()
    if not exists(address):
        raise click.UsageError(f"there is no warehouse at {address}")
    changed = change(address, keeping, wait, options.say)
    click.echo(f"{changed.total():,} values in {len(changed)} tables have the new key; the file is rewritten")
    if keeping.published:
        options.say("published copies have the old tokens still: publish them anew")
