"""What the warehouse vouches for: reports whose rows are one complete walk, by the ledger and by the rows themselves.

    ledger + rows -> unverified (may be half written) | differences (not what the ledger says)

Whatever reads on behalf of others asks here first: publish, transform, report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from passona.config.address import Address, exists
from passona.errors import ConfigurationError
from passona.reports.definitions import CAMPAIGNS, REPORTS
from passona.reports.row_ids import stored_digest
from passona.source.ledger import Key
from passona.warehouse.connection import Connection, is_server, tables_of, temp_table
from passona.warehouse.database import open_database
from passona.warehouse.engines.duckdb_file import CATALOG
from passona.warehouse.ledger_table import Ledger, trusted_entries
from passona.warehouse.quoting import quoted

INTERRUPTED = "a load was interrupted while it wrote this report"
# Tables that hold rows of a report, with the report in SQL.
_PLACES = [
    *((f"'{report.name}'", table) for report in REPORTS.values() for table in report.tables),
    ("report", "row_issues"),
]


@dataclass(frozen=True)
class Difference:
    """A report whose rows are not what the ledger says. `expected` and `found` are fit for an error."""

    campaign_id: str
    report: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"campaign {self.campaign_id}, {self.report}: expected {self.expected}, got {self.found}"


@dataclass(frozen=True)
class _Rows:
    """What stands in the tables of one report of one campaign. `loads`: the load packages that brought it."""

    count: int = 0
    loads: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verification:
    """What `passona verify` found. `reports`: how many the ledger vouches for and are as it says; `rows`: of these."""

    reports: int
    rows: int
    interrupted: list[Key]
    differences: list[Difference]

    @property
    def lines(self) -> list[str]:
        """One line for each report that is due now."""
        return [
            *(f"campaign {uuid}, {report}: {INTERRUPTED}" for uuid, report in self.interrupted),
            *map(str, self.differences),
        ]


def verify(address: Address, wait: float, notify: Callable[[str], None]) -> Verification:
    """Verify the warehouse at `address`, and make due what differs. Wait up to `wait` seconds for its holder.

    :raises Busy: it is still held after that.
    :raises ConfigurationError: there is no warehouse.
    :raises duckdb.Error: a part of the file cannot be read.
    :raises NotWritten: what was found could not be noted.
    """
    if not exists(address):
        raise ConfigurationError(f"there is no warehouse at {address}: run passona load first")
    with closing(open_database(address, wait, notify)) as database:
        database.prepare()
        if not is_server(database.connection):
            read_every_block(database.connection, CATALOG)
        found = list(differences(database.connection, digests=True))
        with database.writing("what passona verify found"):
            make_due(database.connection, found)
        kept = [entry for entry in Ledger(database.connection).values() if entry.verified_at]
        differing = {(each.campaign_id, each.report) for each in found}
        interrupted = [key for key in unverified(database.connection) if key not in differing]
    return Verification(len(kept), sum(entry.row_count or 0 for entry in kept), interrupted, found)


def unverified(connection: Connection) -> list[Key]:
    """Return campaign and report of all that may be half written, in their order.

    A report of which rows were there, and whose last load did not come to its end; or rows that no complete load
    vouches for. A report that never came is none.
    """
    ledger = trusted_entries(connection)
    if not ledger or not {table for _, table in _PLACES} <= tables_of(connection, "passona"):
        return []
    # Table by table, with nothing but the campaign to compare in each row: each load asks, of years of rows, too.
    held = " UNION ALL ".join(
        f"SELECT campaign_id, {report} AS report FROM passona.{table} GROUP BY campaign_id"  # noqa: S608  # constants
        + (", report" if table == "row_issues" else "")
        for report, table in _PLACES
    )
    found = connection.execute(
        f"""
        WITH ledger AS (SELECT * FROM ({ledger}) AS believed), held AS ({held})
        SELECT campaign_id, report FROM ledger
        WHERE verified_at IS NULL AND expired_at IS NULL AND row_count IS NOT NULL
        UNION
        SELECT campaign_id, report FROM held WHERE report <> '{CAMPAIGNS.name}' AND (campaign_id, report) NOT IN (
            SELECT campaign_id, report FROM ledger WHERE verified_at IS NOT NULL OR expired_at IS NOT NULL
        )
        ORDER BY 1, 2
        """  # noqa: S608  # constants
    ).fetchall()
    return [(campaign_id, report) for campaign_id, report in found]


def differences(connection: Connection, *, digests: bool) -> Iterator[Difference]:
    """Compare each report that the ledger vouches for with its rows, and give those that differ.

    Counts rows, and checks that one load package brought all of a report. `digests`: compute the digest from the
    rows, too, which takes a second for a million rows.
    """
    rows = _rows(connection)
    for entry in Ledger(connection).values():
        if entry.verified_at is None:
            continue
        there = rows.get(entry.key, _Rows())
        if there.count != entry.row_count:
            yield Difference(*entry.key, f"{entry.row_count} rows as the ledger says", str(there.count))
        elif len(there.loads) > 1:
            yield Difference(*entry.key, "rows of one load", f"rows of {len(there.loads)} loads")
        elif digests and entry.digest and digest_of_rows(connection, entry.key) != entry.digest:
            yield Difference(*entry.key, "the rows whose digest the ledger has", "others")


def make_due(connection: Connection, found: Iterable[Difference]) -> None:
    """Note in the ledger that these reports differ, so that the next load replaces them."""
    keys = [(each.campaign_id, each.report) for each in found]
    with temp_table(connection, campaign_id=[uuid for uuid, _ in keys], report=[report for _, report in keys]):
        connection.execute(
            "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, "
            "error = 'its rows differ from the ledger' "
            "WHERE (campaign_id, report) IN (SELECT campaign_id, report FROM given)"
        )


def read_every_block(connection: Connection, catalog: str) -> None:
    """Read every value of every table of a DuckDB file, whose checksums tell damage only when they are read.

    :raises duckdb.Error: a part of it cannot be read.
    """
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? AND NOT temporary", [catalog]
    ).fetchall()
    for schema, table in tables:
        name = f"{quoted(catalog)}.{quoted(schema)}.{quoted(table)}"
        connection.execute(f"SELECT bit_xor(hash(each)) FROM {name} AS each").fetchall()  # noqa: S608  # quoted names


def _rows(connection: Connection) -> dict[Key, _Rows]:
    counts: defaultdict[Key, int] = defaultdict(int)
    loads: defaultdict[Key, set[str]] = defaultdict(set)
    for report, table in _PLACES:
        found = connection.execute(
            f"SELECT campaign_id, report, load_id, count(*) FROM (SELECT campaign_id, {report} AS report, "  # noqa: S608  # constants
            f"_dlt_load_id AS load_id FROM passona.{table}) AS found GROUP BY 1, 2, 3"
        ).fetchall()
        for campaign_id, name, load_id, count in found:
            loads[campaign_id, name].add(load_id)
            if table == name:
                counts[campaign_id, name] += count
    return {key: _Rows(counts[key], frozenset(loads[key])) for key in loads}


def digest_of_rows(connection: Connection, key: Key) -> str:
    """Compute the digest of a report from the rows in its table."""
    campaign_id, report = key
    found = connection.execute(
        f"SELECT row_id FROM passona.{quoted(report)} WHERE campaign_id = ?",  # noqa: S608  # a constant
        [campaign_id],
    ).fetchall()
    return stored_digest([row_id for (row_id,) in found])
