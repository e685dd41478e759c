"""The accounts of a warehouse, and the data of one: its campaigns and their rows. A copy may hold only these.

    passona.campaigns -> account -> campaigns -> SQL condition for rows

Brands are separate controllers: `publish --account`, `forget --account` and `person --account` work on one of them.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from passona.config.settings import DEFAULT_ACCOUNT
from passona.errors import ConfigurationError
from passona.reports.tables import DATASET
from passona.warehouse.connection import Connection, columns_of, literal, registered, tables_of

# The condition for all rows.
ALL = "true"
# A version without accounts, or the source of such a version, leaves it NULL.
_ACCOUNT = f"coalesce(account, {literal(DEFAULT_ACCOUNT)})"


def accounts_in(connection: Connection) -> list[str]:
    """Return the accounts that a warehouse names, by name; none if all is of the account `default`."""
    accounts = _all_accounts(connection)
    return [] if accounts == [DEFAULT_ACCOUNT] else accounts


def _all_accounts(connection: Connection) -> list[str]:
    rows = connection.execute(
        f"SELECT {_ACCOUNT} FROM passona.campaigns UNION SELECT account FROM passona.runs WHERE account IS NOT NULL"  # noqa: S608  # constants
    ).fetchall()
    return sorted(account for (account,) in rows)


def accounts_of(
    connection: Connection, campaign_ids: Iterable[str], configured: Collection[str], named: str | None
) -> dict[str, str]:
    """Return the account of each campaign: of those configured the one that the warehouse names, or the only one.

    `named`: what the user says, for campaigns that the warehouse does not know.

    :raises ConfigurationError: several are configured, and neither the warehouse nor the user names one of them, or
        they name different ones.
    """
    stored: dict[str, str] = dict(connection.execute("SELECT campaign_id, account FROM passona.campaigns").fetchall())
    accounts = {}
    for uuid in campaign_ids:
        known = stored.get(uuid)
        if named is not None and known in configured and known != named:
            raise ConfigurationError(f"campaign {uuid}: it belongs to account {known}, not to {named}")
        if named is None and known not in configured and len(configured) > 1:
            raise ConfigurationError(
                f"campaign {uuid}: the warehouse does not say which account has it ({', '.join(configured)}): add "
                "--account NAME"
            )
        accounts[uuid] = named or (known if known and known in configured else next(iter(configured)))
    return accounts


def check_account(connection: Connection, account: str) -> None:
    """Check that the warehouse knows an account.

    :raises ConfigurationError: it does not; names those it knows.
    """
    if not {("campaigns", "account"), ("runs", "account")} <= {*columns_of(connection, DATASET)}:
        raise ConfigurationError(
            "the warehouse does not say which campaigns are whose: it is of an earlier version; run passona load "
            "first, which brings it forward"
        )
    accounts = _all_accounts(connection)
    if account not in accounts:
        known = ", ".join(accounts) or "none"
        raise ConfigurationError(f"--account {account}: the warehouse has no such account; its accounts: {known}")


def campaigns_of(connection: Connection, account: str | None) -> frozenset[str] | None:
    """Return the ids of an account's campaigns; None, which stands for all, without an account.

    :raises ConfigurationError: the warehouse does not know the account.
    """
    if account is None:
        return None
    check_account(connection, account)
    rows = connection.execute(f"SELECT campaign_id FROM passona.campaigns WHERE {_ACCOUNT} = ?", [account])  # noqa: S608  # constants
    return frozenset(campaign_id for (campaign_id,) in rows.fetchall())


def is_of_account(account: str | None, catalog: str = "") -> str:
    """Return an SQL condition for rows of an account's campaigns, without one for all. `catalog`: with a full stop."""
    if account is None:
        return ALL
    return f"campaign_id IN (SELECT campaign_id FROM {catalog}passona.campaigns WHERE {_ACCOUNT} = {literal(account)})"  # noqa: S608  # quoted


@contextmanager
def rows_of(connection: Connection, campaigns: Collection[str] | None) -> Iterator[str]:
    """Yield an SQL condition for rows of these campaigns; None: of all. It holds for any database, such as a copy."""
    if campaigns is None:
        yield ALL
        return
    with registered(connection, "_campaigns", pa.table({"campaign_id": pa.array(sorted(campaigns), pa.string())})):
        yield "campaign_id IN (SELECT _campaigns.campaign_id FROM _campaigns)"


def note_account(connection: Connection, account: str, catalog: str = "") -> None:
    """Record in a new copy whose data it has. `catalog`: that of the copy, with a full stop."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog}passona")
    connection.execute(f"CREATE TABLE {catalog}passona._account AS SELECT {literal(account)} AS account")


def account_of_copy(connection: Connection) -> str | None:
    """Return the account whose data a copy has; None if it may have those of all, as the warehouse has."""
    if "_account" not in tables_of(connection, DATASET):
        return None
    ((account,),) = connection.execute("SELECT account FROM passona._account").fetchall()
    return str(account)
