"""Erase personal data of expired campaigns from the tables and the marts; totals stay.

    retain_days, campaigns' dates -> expired campaigns -> columns become NULL, or rows are deleted -> ledger

An expired campaign is never asked for nor imported, so nothing comes back. If columns are erased, row ids change by a
salt that is not stored, because a digest of a phone would identify its row. Rows of a killed load that the ledger does
not know are half a report, and are deleted in any case.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from passona.reports.definitions import CAMPAIGNS
from passona.reports.tables import DATASET, TABLES
from passona.source.campaigns import Campaign, campaign_values
from passona.warehouse.connection import Connection, literal, quoted, tables_of, temp_table, transaction
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import REPORT_TABLES, trusted_entries
from passona.warehouse.ownership import dataset_columns, registered_objects, staging_tables

if TYPE_CHECKING:
    from passona.config.privacy_settings import PrivacySettings
    from passona.warehouse.database import Database

# Marts with a row per person, and those with totals, each with its personal columns.
_MARTS = {
    "analytics.messages": ("phone", "msisdn", "message_id"),
    "analytics.clicks": ("phone", "msisdn", "link_destination", "user_agent"),
    "analytics.recipient_fields": ("phone", "msisdn", "field_value"),
    "analytics_staging.int_recipient_groups": ("phone", "msisdn"),
}
_TOTALS = {"analytics.links": ("link_destination",)}
_MART_DIGESTS = ("message_key", "click_id")


def expired_campaigns(
    connection: Connection,
    campaigns: Iterable[Campaign],
    retain_days: int | None,
    now: datetime,
    made_at: datetime | None = None,
) -> set[str]:
    """Return the ids of those of these campaigns that ended `retain_days` before `now`.

    The end is the expiry; if that is unknown, the end of sending, or else the last change of any of its reports.
    `made_at`: when a .csv to be imported was made, which counts as such a change.
    """
    if retain_days is None:
        return set()
    ends = {campaign.campaign_id: campaign.expiry_date or campaign.finished_sending_at for campaign in campaigns}
    if None in ends.values():
        changes = _last_changes(connection)
        for campaign_id in [campaign_id for campaign_id, end in ends.items() if end is None]:
            ends[campaign_id] = max(filter(None, (changes.get(campaign_id), made_at)), default=None)
    before = now - timedelta(days=retain_days)
    return {campaign_id for campaign_id, end in ends.items() if end is not None and end <= before}


def expired_in_warehouse(connection: Connection, retain_days: int | None, now: datetime) -> set[str]:
    """Return the ids of all expired campaigns in the warehouse."""
    known = campaign_values(connection.sql("SELECT * FROM passona.campaigns").to_arrow_table())
    unknown = _last_changes(connection).keys() - {campaign.campaign_id for campaign in known}
    return expired_campaigns(connection, [*known, *map(Campaign, unknown)], retain_days, now)


def expire(database: Database, privacy_settings: PrivacySettings, now: datetime, notify: Callable[[str], None]) -> int:
    """Erase the personal data of expired campaigns in one transaction, and return the number of rows."""
    days = privacy_settings.retain_days
    expired = set() if days is None else expired_in_warehouse(database.connection, days, now)
    if not expired:
        return 0
    database.tune(Workload.REBUILD)  # a load's memory limit is too low
    with transaction(database.connection):
        erased = _erase(database.connection, expired, now, rows=privacy_settings.retain_mode == "rows")
    database.tune(Workload.WALK)
    if erased:
        notify(
            f"retention: personal data of {erased.total():,} rows in {len(erased)} tables are erased "
            f"(retain_days {days})"
        )
    return erased.total()


def rewrite_after_expiry(database: Database, wait: float, notify: Callable[[str], None]) -> None:
    """Rewrite the warehouse if freed pages may hold expired personal data."""
    if "_given_up" in tables_of(database.connection, DATASET):
        database.rewrite((), wait, notify)
        database.connection.execute("DROP TABLE passona._given_up")


def _last_changes(connection: Connection) -> dict[str, datetime | None]:
    """Return when the reports of each campaign last changed; rows that the ledger lacks, when they were written."""
    changes: dict[str, datetime | None] = dict(
        connection.execute(
            "SELECT campaign_id, max(changed_at) FROM passona.report_ledger GROUP BY campaign_id"
        ).fetchall()
    )
    for campaign_id, written_at in _without_entry(connection):
        changes[campaign_id] = max(filter(None, (changes.get(campaign_id), written_at)), default=None)
    return changes


def _without_entry(connection: Connection) -> list[tuple[str, datetime | None]]:
    """Return campaigns with rows of a report that the ledger lacks, as of a killed load, and when these were written.

    dlt commits table by table.
    """
    # By table, and one row per campaign: a load has little memory.
    return [
        (campaign_id, _instant(load_id))
        for report, table in REPORT_TABLES
        for campaign_id, load_id in connection.execute(
            "SELECT campaign_id, written FROM "  # noqa: S608  # constants
            f"(SELECT campaign_id, {report} AS report, max(_dlt_load_id) AS written FROM passona.{table} "
            f"GROUP BY 1, 2) AS stored WHERE report <> '{CAMPAIGNS.name}' "
            "AND NOT EXISTS (SELECT 1 FROM passona.report_ledger AS ledger "
            "WHERE ledger.campaign_id = stored.campaign_id AND ledger.report = stored.report)"
        ).fetchall()
    ]


def _instant(load_id: str) -> datetime | None:
    """Return when dlt created the package of this id (seconds since 1970), None if it is no such id."""
    try:
        return datetime.fromtimestamp(float(load_id), UTC)
    except (ValueError, OverflowError):
        return None


def _erase(connection: Connection, expired: Collection[str], now: datetime, *, rows: bool) -> Counter[str]:
    """Erase rows or columns in the caller's transaction, and count rows by table."""
    _create_expired_table(connection, expired)
    # A killed load leaves rows in dlt's staging, which is empty between loads.
    erased = Counter({table: _changed(connection, f"DELETE FROM {table}") for table in staging_tables(connection)})  # noqa: S608  # dlt's own names
    if connection.execute("SELECT 1 FROM _expired LIMIT 1").fetchall():
        salt = literal(secrets.token_hex(32))
        _delete_unverified(connection, erased)
        for report, table in REPORT_TABLES:
            condition = _expired(f"{report} <> '{CAMPAIGNS.name}'")  # issues of the list of campaigns are no person's
            changes = None if rows else _without_personal_values(connection, table, salt)
            erased[f"passona.{table}"] += _change(connection, f"passona.{table}", changes, condition)
        marts = {str(name): columns for name, (_, columns) in registered_objects(connection).items()}
        for table in (_MARTS | _TOTALS).keys() & marts.keys():
            changes = None
            if not rows or table in _TOTALS:
                personal = [column for column in (_MARTS | _TOTALS)[table] if column in marts[table]]
                changes = _set(personal, [column for column in _MART_DIGESTS if column in marts[table]], salt)
            erased[table] += _change(connection, table, changes, _expired())
        connection.execute(
            "UPDATE passona.report_ledger SET expired_at = ?, digest = NULL, state = 'settled', "  # noqa: S608  # constants
            f"row_count = CASE WHEN ? OR verified_at IS NULL THEN 0 ELSE row_count END WHERE {_expired()}",
            [now, rows],
        )
    if +erased:
        # In the same transaction: if the run is killed before it rewrites the file, the next load does.
        connection.execute("CREATE TABLE IF NOT EXISTS passona._given_up AS SELECT 1 AS something")
    connection.execute("DROP TABLE _expired")
    return +erased


def _create_expired_table(connection: Connection, expired: Collection[str]) -> None:
    """Create the temp table `_expired` of those expired campaigns that still have personal data."""
    unknown = {campaign_id for campaign_id, _ in _without_entry(connection)} & {*expired}
    with temp_table(connection, campaign_id=sorted(expired)):
        connection.execute(
            "CREATE TEMP TABLE _expired AS SELECT campaign_id FROM given WHERE campaign_id IN "
            "(SELECT campaign_id FROM passona.report_ledger WHERE expired_at IS NULL) "
            "OR campaign_id IN (SELECT unnest(?::VARCHAR[]))",
            [sorted(unknown)],
        )


def _delete_unverified(connection: Connection, erased: Counter[str]) -> None:
    """Delete rows that no complete load vouches for."""
    verified = (
        f"SELECT campaign_id, report FROM ({trusted_entries(connection)}) AS ledger WHERE verified_at IS NOT NULL"  # noqa: S608  # constants
    )
    for report, table in REPORT_TABLES:
        condition = f"{report} <> '{CAMPAIGNS.name}' AND (campaign_id, {report}) NOT IN ({verified})"
        erased[f"passona.{table}"] += _change(connection, f"passona.{table}", None, _expired(condition))


def _expired(condition: str = "true") -> str:
    return f"campaign_id IN (SELECT campaign_id FROM _expired) AND {condition}"  # noqa: S608  # constants


def _without_personal_values(connection: Connection, name: str, salt: str) -> str:
    """Return the assignments that erase personal columns, and those of keys that the guide does not know."""
    table = TABLES[name]
    personal = [column for column in table.personal_columns if table.personal[column] != "digest"]
    new = set(dataset_columns(connection)[name]) - table.sql_columns.keys()
    return _set([*personal, *sorted(column for column in new if not column.startswith("_"))], ["row_id"], salt)


def _set(columns: Iterable[str], digests: Iterable[str], salt: str) -> str:
    """Return assignments of NULL to columns, and of others to digests: the same in parent, fields and issues."""
    # SHA-256 as DuckDB (text) and Postgres (bytea, cast to \x and digits) both have it.
    return ", ".join(
        [
            *(f"{quoted(column)} = NULL" for column in columns),
            *(f"{name} = right(CAST(sha256(CAST({salt} || {name} AS BYTEA)) AS VARCHAR), 32)" for name in digests),
        ]
    )


def _change(connection: Connection, table: str, changes: str | None, condition: str) -> int:
    """Update the rows of this condition, or delete them if `changes` is None; return how many."""
    action = f"DELETE FROM {table}" if changes is None else f"UPDATE {table} SET {changes}"  # noqa: S608  # names of ours
    return _changed(connection, f"{action} WHERE {condition}")


def _changed(connection: Connection, sql: str) -> int:
    ((rows,),) = connection.execute(sql).fetchall()
    return int(rows)
