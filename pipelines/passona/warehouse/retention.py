"""What a campaign's end has made old: personal data go from the tables and the marts, the totals stay.

    retain_days, campaigns' dates -> campaigns past it -> columns become NULL, or rows go -> ledger

What is past it (`past`) is never asked for again nor imported, so nothing comes back. In columns, ids of rows
become others by a key that nobody keeps: a digest of a phone would say whose row it was. Rows that a killed
load left and the ledger does not vouch for are half of a report: they go in any case.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from passona.reports.definitions import REPORTS
from passona.reports.tables import DATASET, TABLES
from passona.source.campaigns import Campaign, campaign_values
from passona.warehouse.connection import Connection, columns_of, tables_of, temp_table, transaction
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import trusted_entries
from passona.warehouse.ownership import SCHEMAS, own_columns, own_staging, owned
from passona.warehouse.quoting import literal, quoted

if TYPE_CHECKING:
    from passona.config.privacy_settings import PrivacySettings
    from passona.warehouse.database import Database

# Marts that have a row per person, and what is personal in those and in the others, by name.
_MARTS = {
    "analytics.messages": ("phone", "msisdn", "message_id"),
    "analytics.clicks": ("phone", "msisdn", "link_destination", "user_agent"),
    "analytics.recipient_fields": ("phone", "msisdn", "field_value"),
    "analytics_staging.int_recipient_groups": ("phone", "msisdn"),
}
_TOTALS = {"analytics.links": ("link_destination",)}
_MART_DIGESTS = ("message_key", "click_id")
# The reports' tables: all that hangs on a row of a report.
_TABLES = [*(name for report in REPORTS.values() for name in report.tables), "row_issues"]


def expired_campaigns(
    connection: Connection,
    campaigns: Iterable[Campaign],
    retain_days: int | None,
    now: datetime,
    made_at: datetime | None = None,
) -> set[str]:
    """Ids of those of these campaigns that ended `retain_days` before `now`: their personal data are given up.

    The end is the expiry; where that is unknown the end of sending, or else the last change of any of its reports.
    `made_at`: when what is about to be loaded was as it is, which is such a change.
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
    """Return the same of all campaigns in the warehouse."""
    return expired_campaigns(connection, _campaigns(connection), retain_days, now)


def expire(database: Database, privacy_settings: PrivacySettings, now: datetime, notify: Callable[[str], None]) -> int:
    """Gives up the personal data of campaigns past `retain_days`, and tells it; how many rows. One transaction."""
    if privacy_settings.retain_days is None:
        return 0
    erased = _expire_all(database, privacy_settings, now)
    if erased:
        notify(
            f"retention: personal data of {erased.total():,} rows in {len(erased)} tables are given up "
            f"(retain_days {privacy_settings.retain_days})"
        )
    return erased.total()


def _expire_all(database: Database, privacy_settings: PrivacySettings, now: datetime) -> Counter[str]:
    old = expired_in_warehouse(database.connection, privacy_settings.retain_days, now)
    if not old:
        return Counter()
    return _give_up(database, old, now, rows=privacy_settings.retain_mode == "rows")


def _give_up(database: Database, old: Collection[str], now: datetime, *, rows: bool) -> Counter[str]:
    # With the flat memory of a load it would fail.
    database.tune(Workload.REBUILD)
    with transaction(database.connection):
        erased = _expire(database.connection, database.engine.sha256, old, now, rows=rows)
    database.tune(Workload.WALK)
    return erased


def rewrite_after_expiry(database: Database, wait: float, notify: Callable[[str], None]) -> None:
    """Rewrite the warehouse if freed pages may hold expired personal data.

    :raises Busy: somebody came between, and held it for longer than `wait` seconds.
    """
    if "_given_up" in tables_of(database.connection, DATASET):
        database.rewrite((), wait, notify)
        database.connection.execute("DROP TABLE passona._given_up")


def _campaigns(connection: Connection) -> list[Campaign]:
    """All campaigns of which the warehouse has anything; of some the id alone."""
    known = campaign_values(connection.sql("SELECT * FROM passona.campaigns").to_arrow_table())
    bare = _last_changes(connection).keys() - {campaign.campaign_id for campaign in known}
    return [*known, *map(Campaign, sorted(bare))]


def _last_changes(connection: Connection) -> dict[str, datetime | None]:
    """When the reports of each campaign last changed; rows that the ledger does not know, when they were written."""
    changes: dict[str, datetime | None] = dict(
        connection.execute(
            "SELECT campaign_id, max(changed_at) FROM passona.report_ledger GROUP BY campaign_id"
        ).fetchall()
    )
    for campaign_id, written in _unknown(connection):
        changes[campaign_id] = max(filter(None, (changes.get(campaign_id), written)), default=None)
    return changes


def _unknown(connection: Connection) -> list[tuple[str, datetime | None]]:
    """Campaigns with rows of a report that the ledger does not know, and when these were written.

    A load that was killed leaves such, because dlt commits table by table.
    """
    # Table by table, and of each campaign one row: a load has little memory.
    return [
        (campaign_id, _instant(load_id))
        for report, table in _places()
        for campaign_id, load_id in connection.execute(
            "SELECT campaign_id, written FROM "  # noqa: S608  # our own words
            f"(SELECT campaign_id, {report} AS report, max(_dlt_load_id) AS written FROM passona.{table} "
            "GROUP BY 1, 2) AS held WHERE report <> 'campaigns' "
            "AND NOT EXISTS (SELECT 1 FROM passona.report_ledger AS ledger "
            "WHERE ledger.campaign_id = held.campaign_id AND ledger.report = held.report)"
        ).fetchall()
    ]


def _instant(load_id: str) -> datetime | None:
    """When dlt made the package of this id, which are seconds since 1970; None where it is no such id."""
    try:
        return datetime.fromtimestamp(float(load_id), UTC)
    except (ValueError, OverflowError):
        return None


def _places() -> list[tuple[str, str]]:
    """Each table of rows, with the report that its rows are of, in SQL."""
    tables = [(literal(report.name), table) for report in REPORTS.values() for table in report.tables]
    return [*tables, ("report", "row_issues")]


def _expire(
    connection: Connection, sha256: Callable[[str], str], old: Collection[str], now: datetime, *, rows: bool
) -> Counter[str]:
    """`sha256`: the SQL of the digest of a text."""
    _choose(connection, old)
    erased = _clear_staging(connection)
    if connection.execute("SELECT 1 FROM _expired LIMIT 1").fetchall():
        salt = secrets.token_hex(32)

        def anew(digest: str) -> str:
            return f"left({sha256(literal(salt) + ' || ' + digest)}, 32)"

        present = _present(connection)
        vouched = (
            f"SELECT campaign_id, report FROM ({trusted_entries(connection)}) AS ledger WHERE verified_at IS NOT NULL"  # noqa: S608  # constants
        )
        for report, name in _places():
            # Issues of the list of campaigns are no report's.
            erased[f"passona.{name}"] += _rows(
                connection,
                f"DELETE FROM passona.{name} WHERE campaign_id IN (SELECT campaign_id FROM _expired) "  # noqa: S608  # our own words
                f"AND {report} <> 'campaigns' "
                f"AND (campaign_id, {report}) NOT IN (SELECT campaign_id, report FROM ({vouched}) AS vouched)",
            )
        for name in _TABLES:
            table = f"passona.{name}"
            erased[table] += _delete(connection, table) if rows else _empty(connection, name, anew)
        for table, columns in (_MARTS | _TOTALS).items():
            if table in present:
                goes = rows and table in _MARTS
                erased[table] += _delete(connection, table) if goes else _empty_mart(connection, table, columns, anew)
        connection.execute(
            "UPDATE passona.report_ledger SET expired_at = ?, digest = NULL, state = 'settled', "
            "row_count = CASE WHEN ? OR verified_at IS NULL THEN 0 ELSE row_count END "
            "WHERE campaign_id IN (SELECT campaign_id FROM _expired)",
            [now, rows],
        )
    if +erased:
        # In the same transaction: whoever is killed before the file is made anew leaves it to the next load.
        connection.execute("CREATE TABLE IF NOT EXISTS passona._given_up AS SELECT 1 AS something")
    connection.execute("DROP TABLE _expired")
    return +erased


def _choose(connection: Connection, old: Collection[str]) -> None:
    """Makes the table `_expired`: those of the old campaigns of which anything is left to give up."""
    unknown = {campaign_id for campaign_id, _ in _unknown(connection)} & set(old)
    with temp_table(connection, campaign_id=sorted(old)):
        connection.execute(
            "CREATE TEMP TABLE _expired AS SELECT campaign_id FROM given WHERE campaign_id IN "
            "(SELECT campaign_id FROM passona.report_ledger WHERE expired_at IS NULL) "
            "OR campaign_id IN (SELECT unnest(?::VARCHAR[]))",
            [sorted(unknown)],
        )


def _clear_staging(connection: Connection) -> Counter[str]:
    """What a killed load left in dlt's staging, which is empty between loads."""
    return Counter({table: _rows(connection, f"DELETE FROM {table}") for table in own_staging(connection)})  # noqa: S608  # dlt's own names


def _delete(connection: Connection, table: str) -> int:
    # Issues of the list of campaigns are no person's.
    but = " AND report <> 'campaigns'" if table == "passona.row_issues" else ""
    return _rows(connection, f"DELETE FROM {table} WHERE campaign_id IN (SELECT campaign_id FROM _expired){but}")  # noqa: S608  # our own words


def _empty(connection: Connection, name: str, anew: Callable[[str], str]) -> int:
    """NULL in what is personal; the ids others, the same in parent, fields and issues."""
    table = TABLES[name]
    plain = [column for column in table.personal_columns if table.personal[column] != "digest"]
    changes = [f"{column} = NULL" for column in [*plain, *_new_columns(connection, name)]]
    changes.append(f"row_id = {anew('row_id')}")
    but = " AND report <> 'campaigns'" if name == "row_issues" else ""
    return _rows(
        connection,
        f"UPDATE passona.{name} SET {', '.join(changes)} WHERE campaign_id IN (SELECT campaign_id FROM _expired){but}",  # noqa: S608  # our own words
    )


def _empty_mart(connection: Connection, table: str, columns: tuple[str, ...], anew: Callable[[str], str]) -> int:
    there = _present(connection)[table]
    changes = [f"{column} = NULL" for column in columns if column in there]
    changes += [f"{c} = {anew(c)}" for c in _MART_DIGESTS if c in there]
    return _rows(
        connection,
        f"UPDATE {table} SET {', '.join(changes)} WHERE campaign_id IN (SELECT campaign_id FROM _expired)",  # noqa: S608  # our own words
    )


def _new_columns(connection: Connection, name: str) -> list[str]:
    """Columns of keys that the guide does not know: nobody can say what is in them."""
    new = set(own_columns(connection)[name]) - TABLES[name].sql_columns.keys()
    return [quoted(column) for column in sorted(new) if not column.startswith("_")]


def _present(connection: Connection) -> Mapping[str, set[str]]:
    """The tables there are that this program made, with their columns."""
    ours = owned(connection) or {}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for schema in SCHEMAS:
        for table, column in columns_of(connection, schema):
            if f"{schema}.{table}" in ours:
                found[f"{schema}.{table}"].add(column)
    return found


def _rows(connection: Connection, sql: str) -> int:
    ((rows,),) = connection.execute(sql).fetchall()
    return int(rows)
