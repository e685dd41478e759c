"""Which reports are verified: their rows are one complete walk, by the ledger and by the rows themselves.

    ledger + rows -> unverified (may be half written) | differences (from the ledger)

Publish, transform and report check this before they pass data on.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from passona.config.address import Address, check_exists
from passona.reports.definitions import CAMPAIGNS
from passona.reports.row_ids import stored_digest
from passona.source.ledger import Key
from passona.warehouse.connection import Connection, is_server, quoted, tables_of, temp_table
from passona.warehouse.database import open_database
from passona.warehouse.engines.duckdb_file import CATALOG
from passona.warehouse.ledger_table import REPORT_TABLES, Ledger, trusted_entries

INTERRUPTED = "a load was interrupted while it wrote this report"


@dataclass(frozen=True)
class Difference:
    """A report whose rows differ from the ledger. `expected` and `found`: for an error message."""

    campaign_id: str
    report: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"campaign {self.campaign_id}, {self.report}: expected {self.expected}, got {self.found}"


@dataclass(frozen=True)
class _Rows:
    """The rows of one report of one campaign. `loads`: the load packages that wrote its tables."""

    count: int = 0
    loads: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verification:
    """The result of `passona verify`. `reports`: number of verified reports; `rows`: of these."""

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
    """Compare all rows with the ledger, and make reports due that differ. Wait up to `wait` seconds for the lock.

    :raises ConfigurationError: there is no warehouse.
    :raises duckdb.Error: a part of the file cannot be read.
    """
    check_exists(address)
    with closing(open_database(address, wait, notify)) as database:
        database.prepare()
        if not is_server(database.connection):
            read_every_block(database.connection, CATALOG)
        differing = list(differences(database.connection, digests=True))
        with database.writing("what passona verify found"):
            _make_due(database.connection, differing)
        verified = [entry for entry in Ledger(database.connection).values() if entry.verified_at]
        keys = {(each.campaign_id, each.report) for each in differing}
        interrupted = [key for key in unverified(database.connection) if key not in keys]
    return Verification(len(verified), sum(entry.row_count or 0 for entry in verified), interrupted, differing)


def unverified(connection: Connection) -> list[Key]:
    """Return campaign and report of all that may be half written, in order.

    Either the last load of a report that had rows is incomplete, or no complete load vouches for existing rows.
    """
    ledger = trusted_entries(connection)
    if not ledger or not {table for _, table in REPORT_TABLES} <= tables_of(connection, "passona"):
        return []
    # By table, and of each row only the campaign: every load runs this on years of rows.
    stored = " UNION ALL ".join(
        f"SELECT campaign_id, {report} AS report FROM passona.{table} GROUP BY campaign_id"  # noqa: S608  # constants
        + (", report" if table == "row_issues" else "")
        for report, table in REPORT_TABLES
    )
    rows = connection.execute(
        f"""
        WITH ledger AS (SELECT * FROM ({ledger}) AS trusted), stored AS ({stored})
        SELECT campaign_id, report FROM ledger
        WHERE verified_at IS NULL AND expired_at IS NULL AND row_count IS NOT NULL
        UNION
        SELECT campaign_id, report FROM stored WHERE report <> '{CAMPAIGNS.name}' AND (campaign_id, report) NOT IN (
            SELECT campaign_id, report FROM ledger WHERE verified_at IS NOT NULL OR expired_at IS NOT NULL
        )
        ORDER BY 1, 2
        """  # noqa: S608  # constants
    ).fetchall()
    return [(campaign_id, report) for campaign_id, report in rows]


def differences(connection: Connection, *, digests: bool) -> Iterator[Difference]:
    """Yield the verified reports whose rows differ from the ledger.

    Compares row counts, and checks that one load package wrote all rows of a report. `digests`: also compute the digest
    of the rows, which takes a second for a million rows.
    """
    rows_by_key = _rows(connection)
    for entry in Ledger(connection).values():
        if entry.verified_at is None:
            continue
        rows = rows_by_key.get(entry.key, _Rows())
        if rows.count != entry.row_count:
            yield Difference(*entry.key, f"{entry.row_count} rows as the ledger says", str(rows.count))
        elif len(rows.loads) > 1:
            yield Difference(*entry.key, "rows of one load", f"rows of {len(rows.loads)} loads")
        elif digests and entry.digest and digest_of_rows(connection, entry.key) != entry.digest:
            yield Difference(*entry.key, "the rows whose digest the ledger has", "others")


def _make_due(connection: Connection, differing: Iterable[Difference]) -> None:
    keys = [(each.campaign_id, each.report) for each in differing]
    with temp_table(connection, campaign_id=[uuid for uuid, _ in keys], report=[report for _, report in keys]):
        connection.execute(
            "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, "
            "error = 'its rows differ from the ledger' "
            "WHERE (campaign_id, report) IN (SELECT campaign_id, report FROM given)"
        )


def read_every_block(connection: Connection, catalog: str) -> None:
    """Read every value of every table of a DuckDB file, so that DuckDB verifies the checksums of its blocks.

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
    for report, table in REPORT_TABLES:
        rows = connection.execute(
            f"SELECT campaign_id, {report}, _dlt_load_id, count(*) FROM passona.{table} GROUP BY 1, 2, 3"  # noqa: S608  # constants
        ).fetchall()
        for campaign_id, name, load_id, count in rows:
            loads[campaign_id, name].add(load_id)
            if table == name:
                counts[campaign_id, name] += count
    return {key: _Rows(counts[key], frozenset(load_ids)) for key, load_ids in loads.items()}


def digest_of_rows(connection: Connection, key: Key) -> str:
    """Compute the digest of a report from the rows in its table."""
    campaign_id, report = key
    rows = connection.execute(
        f"SELECT row_id FROM passona.{quoted(report)} WHERE campaign_id = ?",  # noqa: S608  # a constant
        [campaign_id],
    ).fetchall()
    return stored_digest([row_id for (row_id,) in rows])
