"""`passona re-key`."""

import click

from passona.cli import options
from passona.config.address import existing_warehouse
from passona.config.configuration import load_privacy_settings
from passona.erasure.rekey import re_key as change_key
from passona.monitoring import logs


@options.verb(
    "export SOURCES__PASSONA__PRIVACY_FORMER_KEYS='[\"the key until today\"]'",
    "export SOURCES__PASSONA__PRIVACY_KEY=$(openssl rand -hex 32)",
    "passona re-key",
)
@options.wait
def re_key(*, wait: float) -> None:
    """Change the key of all tokens in the warehouse.

    Before, move the value of privacy_key to the end of privacy_former_keys, and set the new privacy_key. Both
    are needed from then on. Row ids change too, so the next load writes open reports again.
    """
    privacy_settings = load_privacy_settings()
    changed = change_key(existing_warehouse(), privacy_settings, wait, logs.notify)
    click.echo(f"{changed.total():,} values in {len(changed)} tables have the new key; the file is rewritten")
    if privacy_settings.published:
        logs.notify("published copies still have the old tokens: publish them again")
