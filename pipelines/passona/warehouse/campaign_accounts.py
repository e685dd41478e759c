"""The accounts that a warehouse names, and the account of each campaign."""

from collections.abc import Collection, Iterable

from passona.config.settings import DEFAULT_ACCOUNT
from passona.errors import ConfigurationError
from passona.warehouse.connection import Connection


def accounts_in(connection: Connection) -> list[str]:
    """Return the accounts that a warehouse names, by name; none if all is of the account `default`."""
    rows = connection.execute(
        "SELECT account FROM passona.campaigns WHERE account IS NOT NULL UNION "
        "SELECT account FROM passona.runs WHERE account IS NOT NULL ORDER BY account"
    ).fetchall()
    accounts = [account for (account,) in rows]
    return [] if accounts == [DEFAULT_ACCOUNT] else accounts


def accounts_of(connection: Connection, campaign_ids: Iterable[str], configured: Collection[str]) -> dict[str, str]:
    """Return the account of each campaign: of those configured the one that the warehouse names, or the only one.

    :raises ConfigurationError: several are configured, and the warehouse names none of them.
    """
    stored: dict[str, str] = dict(connection.execute("SELECT campaign_id, account FROM passona.campaigns").fetchall())
    accounts = {}
    for uuid in campaign_ids:
        known = stored.get(uuid)
        if known not in configured and len(configured) > 1:
            raise ConfigurationError(
                f"campaign {uuid}: the warehouse does not say which account has it ({', '.join(configured)}): add "
                "--account NAME"
            )
        accounts[uuid] = known if known and known in configured else next(iter(configured))
    return accounts
