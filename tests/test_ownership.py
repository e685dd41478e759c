"""What users have in the warehouse: their own objects stay as they are, and those that are in the way are named.

Run by `make test` on DuckDB and by `make postgres-check` on Postgres.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines import POSTGRES, change, of_duckdb_alone
from first_release import GOING, unpack
from first_release import account as first_account
from passona.errors import ConfigurationError
from passona.keeping import Keeping
from passona.rekeying import re_key
from passona.transform import Wanted, transform
from sandbox import Account, Sandbox
from test_lifecycle import ended
from test_load import ONE, click, going, message
from test_people import GONE, MODES, NEW_KEY, fill, forgotten
from warehouses import Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]
on_postgres_alone = pytest.mark.skipif(POSTGRES is None, reason="about a server's objects")


def refused(warehouse: Warehouse, box: Sandbox, named: str, **options: Any) -> None:
    """A load ends with exit code 2 before its first request, and changes nothing."""
    before = objects(warehouse)
    box.forget_requests()
    with pytest.raises(ConfigurationError, match=named):
        warehouse.load(box, **options)
    assert box.requests == []
    assert objects(warehouse) == before


def objects(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the warehouse, by its names."""
    names = asked(
        warehouse,
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY 1, 2",
    )
    return {
        f"{schema}.{name}": sorted(asked(warehouse, f'SELECT * FROM "{schema}"."{name}"'), key=repr)
        for schema, name in names
    }


def asked(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    """What the database itself says."""
    if POSTGRES is None:
        return warehouse.rows(sql)
    from test_postgres import asked as asked_of_server

    return asked_of_server(warehouse, sql)


def built(warehouse: Warehouse, **wanted: Any) -> None:
    outcome = transform(warehouse.address, "Europe/London", 0, print, Wanted(**wanted))
    assert (outcome.failures, outcome.exit_code) == ([], 0)


# Before the first load.

FOREIGN = {
    "passona.clicks": "CREATE TABLE passona.clicks (id INTEGER)",
    "passona.campaigns": "CREATE TABLE passona.campaigns (campaign_id VARCHAR, name VARCHAR)",
    "passona.delivery": "CREATE VIEW passona.delivery AS SELECT 1 AS sms_id",
    "passona.report_ledger": "CREATE TABLE passona.report_ledger (_dlt_load_id VARCHAR)",
    "passona.runs": "CREATE TABLE passona.runs (run_id VARCHAR); COMMENT ON TABLE passona.runs IS 'One row per run'",
    "passona._objects": "CREATE TABLE passona._objects (id INTEGER)",
    "passona._upgrades": "CREATE TABLE passona._upgrades (id INTEGER)",
    "passona._privacy": "CREATE TABLE passona._privacy (mode VARCHAR, key_id VARCHAR, forgetting_key VARCHAR)",
    "passona._dlt_loads": "CREATE TABLE passona._dlt_loads (load_id VARCHAR)",
    "passona._dlt_version": "CREATE TABLE passona._dlt_version (schema_name VARCHAR, schema VARCHAR, version BIGINT)",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_object_of_the_user_in_the_place_of_ours_is_named_before_the_first_request(
    warehouse: Warehouse, account: Account, box: Sandbox, name: str
) -> None:
    account.put(going(ONE), {"clicks": [click()]})
    _ = warehouse.address
    change(warehouse.path, f"CREATE SCHEMA passona; {FOREIGN[name]}")
    refused(warehouse, box, f"{name} is in the way: passona-warehouse did not create this (table|view); rename it")


@of_duckdb_alone
@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ('CREATE SCHEMA PASSONA; CREATE TABLE PASSONA."Clicks" (id INTEGER)', "passona.clicks"),
        ("CREATE SCHEMA passona_staging; CREATE TABLE passona_staging.sent (id INTEGER)", "passona_staging.sent"),
        ("CREATE SCHEMA passona_staging; CREATE VIEW passona_staging.sent AS SELECT 1 AS x", "passona_staging.sent"),
    ],
)
def test_duckdb_knows_them_whatever_their_case_and_in_the_staging_dataset_too(
    warehouse: Warehouse, account: Account, box: Sandbox, sql: str, name: str
) -> None:
    change(warehouse.path, sql)
    refused(warehouse, box, f"{name} is in the way")


@on_postgres_alone
@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("CREATE MATERIALIZED VIEW passona.clicks AS SELECT 1 AS x", "materialized view"),
        ("CREATE TABLE passona.clicks (id INTEGER) PARTITION BY LIST (id)", "partitioned table"),
        ("CREATE SEQUENCE passona.clicks", "sequence"),
        ("CREATE TYPE passona.clicks AS (id INTEGER)", "type"),
        ("CREATE TABLE passona.other (id INTEGER); CREATE INDEX clicks ON passona.other (id)", "index"),
    ],
)
def test_postgres_has_more_kinds_of_objects(
    warehouse: Warehouse, account: Account, box: Sandbox, sql: str, kind: str
) -> None:
    _ = warehouse.address
    change(warehouse.path, f"CREATE SCHEMA passona; {sql}")
    refused(warehouse, box, f"passona.clicks is in the way: passona-warehouse did not create this {kind};")


def test_the_command_ends_with_2(passona: Run, warehouse: Warehouse, box: Sandbox) -> None:
    _ = warehouse.address
    change(warehouse.path, "CREATE SCHEMA passona; CREATE TABLE passona.clicks (id INTEGER)")
    for verb in (["load"], ["generate", ONE], ["forget", GONE], ["transform"]):
        ended = passona(*verb, box=box)
        assert (ended.returncode, ended.stdout) == (2, ""), verb
        assert ended.stderr.startswith("passona: passona.clicks is in the way: "), ended.stderr
    assert box.requests == []


# After loads.


@pytest.fixture
def loaded(warehouse: Warehouse, account: Account, box: Sandbox) -> Warehouse:
    account.put(going(ONE), {"clicks": [click(n) for n in range(3)], "alt_delivery": [message(1)]})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.load(box, refresh=True).exit_code == 0  # makes all of dlt's staging
    return warehouse


def table_anew(definition: str) -> str:
    """The table of clicks made again by hand, which DuckDB asks for where Postgres alters it."""
    columns = "campaign_id, row_id, phone_number, link_name, link_destination, user_agent, device_type, os_version, browser_version"
    texts = ", ".join(f"{name.strip()} VARCHAR" for name in columns.split(","))
    return (
        "DROP TABLE passona.clicks; "
        f"CREATE TABLE passona.clicks ({texts}, clicked_at TIMESTAMP WITH TIME ZONE, _marker BOOLEAN, "
        f"_dlt_load_id VARCHAR NOT NULL, {definition})"
    )


OBSTACLES = {
    "NOT NULL column note without a default": (
        "ALTER TABLE passona.clicks ADD COLUMN note VARCHAR; UPDATE passona.clicks SET note = 'x'; "
        "ALTER TABLE passona.clicks ALTER COLUMN note SET NOT NULL"
    ),
    "NOT NULL column phone_number without a default": (
        "ALTER TABLE passona.clicks ALTER COLUMN phone_number SET NOT NULL"
    ),
    "unique index (passona.)?once": "CREATE UNIQUE INDEX once ON passona.clicks (row_id)",
    "unique constraint": table_anew("UNIQUE (row_id)"),
    "primary key constraint": table_anew("PRIMARY KEY (row_id)"),
    "check constraint": table_anew("CHECK (phone_number <> '')"),
    "generated column n": table_anew("n INTEGER GENERATED ALWAYS AS (length(phone_number)) STORED"),
    "foreign key constraint": (
        "CREATE TABLE passona.agents (name VARCHAR PRIMARY KEY); " + table_anew(
            "FOREIGN KEY (user_agent) REFERENCES passona.agents (name)"
        )
    ),
    "column phone_number is BIGINT, expected VARCHAR": (
        "ALTER TABLE passona.clicks ALTER COLUMN phone_number TYPE BIGINT USING CAST(phone_number AS BIGINT)"
    ),
    "clicks is in the way: .* this view": (
        "ALTER TABLE passona.clicks RENAME TO old_clicks; CREATE VIEW passona.clicks AS SELECT * FROM passona.old_clicks"
    ),
    "clicks is in the way: .* this table": (
        "DROP TABLE passona.clicks; CREATE TABLE passona.clicks AS SELECT 1 AS id"
    ),
}  # fmt: skip


@pytest.mark.parametrize("named", OBSTACLES)
def test_what_a_user_did_to_a_table_that_makes_writing_impossible_is_named_before_the_first_request(
    loaded: Warehouse, box: Sandbox, named: str
) -> None:
    sql = OBSTACLES[named] if POSTGRES else OBSTACLES[named].replace(" STORED", "")
    for statement in sql.split("; "):
        change(loaded.path, statement)
    refused(loaded, box, f"passona.*{named}", refresh=True)


@of_duckdb_alone
def test_so_is_what_was_done_to_the_staging_dataset(loaded: Warehouse, box: Sandbox) -> None:
    change(loaded.path, "CREATE UNIQUE INDEX once ON passona_staging.clicks (row_id)")
    refused(loaded, box, "passona_staging.clicks cannot be written: unique index once; change or remove that, then run")


@on_postgres_alone
@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("CREATE RULE none AS ON INSERT TO passona.clicks DO INSTEAD NOTHING", "rule none"),
        ("CREATE TABLE passona.more () INHERITS (passona.clicks)", "inheritance: .*more inherits from .*clicks"),
        ("ALTER TABLE passona.clicks ALTER COLUMN link_name TYPE VARCHAR(5)", "link_name is CHARACTER VARYING.5., exp"),
        ("ALTER TABLE passona.clicks ADD EXCLUDE (row_id WITH =)", "exclusion constraint"),
    ],
)
def test_postgres_knows_more_ways_to_refuse_a_row(loaded: Warehouse, box: Sandbox, sql: str, named: str) -> None:
    change(loaded.path, sql)
    refused(loaded, box, f"passona.clicks.*{named}", refresh=True)


# What does no harm stays.

OWN = [
    "CREATE SCHEMA IF NOT EXISTS analytics",
    "CREATE TABLE passona.notes (campaign_id VARCHAR PRIMARY KEY, note VARCHAR NOT NULL)",
    f"INSERT INTO passona.notes VALUES ('{ONE}', 'mine')",
    "CREATE TABLE analytics.orders (id INTEGER, click_id VARCHAR)",
    "INSERT INTO analytics.orders VALUES (1, 'mine')",
    "CREATE VIEW passona.seen AS SELECT campaign_id, count(*) AS n FROM passona.clicks GROUP BY campaign_id",
    "CREATE VIEW analytics.all_clicks AS SELECT * FROM passona.clicks",
    "CREATE VIEW analytics.on_it AS SELECT count(*) AS n FROM analytics.all_clicks",
    "CREATE INDEX by_agent ON passona.clicks (user_agent)",
    "ALTER TABLE passona.clicks ADD COLUMN mine VARCHAR",
    "ALTER TABLE passona.clicks ADD COLUMN given INTEGER DEFAULT 5",
    "ALTER TABLE passona.campaigns ADD COLUMN owner VARCHAR",
    "COMMENT ON COLUMN passona.campaigns.owner IS 'my words'",
    "UPDATE passona.campaigns SET owner = 'Ann'",
    "UPDATE passona.clicks SET mine = 'x'",
]


def assert_own_objects_are_there(warehouse: Warehouse, clicks: int, owner: str | None = "Ann") -> None:
    assert asked(warehouse, "SELECT campaign_id, note FROM passona.notes") == [(ONE, "mine")]
    assert asked(warehouse, "SELECT id, click_id FROM analytics.orders") == [(1, "mine")]
    assert asked(warehouse, f"SELECT n FROM passona.seen WHERE campaign_id = '{ONE}'") == [(clicks,)]
    assert asked(warehouse, "SELECT n FROM analytics.on_it")[0][0] >= clicks
    assert asked(warehouse, f"SELECT owner FROM passona.campaigns WHERE campaign_id = '{ONE}'") == [(owner,)]
    assert asked(warehouse, "SELECT count(mine) + count(given) FROM passona.clicks")[0][0] >= 0
    indexes = "SELECT indexname FROM pg_indexes" if POSTGRES else "SELECT index_name FROM duckdb_indexes()"
    assert ("by_agent",) in asked(warehouse, indexes)


def test_what_users_put_beside_and_on_our_tables_stays_through_loads(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(going(ONE), {"clicks": [click(n) for n in range(3)]})
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    clicks = {"clicks": [click(n) | {"Mood": "good"} for n in range(4)]}
    account.put(going(ONE), clicks)
    assert warehouse.load(box).exit_code == 0
    assert_own_objects_are_there(warehouse, 4)
    assert asked(warehouse, "SELECT mine, given, mood FROM passona.clicks") == [(None, 5, "good")] * 4
    assert warehouse.load(box, refresh=True).exit_code == 0
    assert_own_objects_are_there(warehouse, 4)
    comments = warehouse.rows(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'campaigns' AND column_name = 'owner'"
    )
    assert comments == [("owner", "my words")]
    account.put(going(ONE, name="Renamed"), clicks)
    assert warehouse.load(box).exit_code == 0
    assert_own_objects_are_there(warehouse, 4, owner=None)


@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_it_stays_through_retention(warehouse: Warehouse, account: Account, box: Sandbox, mode: str) -> None:
    account.put(ended(ONE, 100), {"clicks": [click(n) | {"Mood": "good"} for n in range(3)]})
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    outcome = warehouse.load(box, retain_days=90, retain_mode=mode)
    assert outcome.erased > 0
    left = 3 if mode == "columns" else None
    if left:
        assert_own_objects_are_there(warehouse, 3)
        assert asked(warehouse, "SELECT phone_number, mood, mine FROM passona.clicks") == [(None, None, "x")] * 3
    assert asked(warehouse, "SELECT click_id FROM analytics.orders") == [("mine",)]


def test_tables_of_the_user_that_are_called_like_models_are_not_touched_by_retention_and_forget(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(ended(ONE, 100), {"clicks": [click(n) for n in range(3)]})
    warehouse.load(box)
    tables = {
        "analytics.messages": "campaign_id VARCHAR, phone VARCHAR, msisdn VARCHAR, message_id VARCHAR",
        "analytics.links": "campaign_id VARCHAR, link_destination VARCHAR",
        "analytics_staging.int_user_agents": "user_agent VARCHAR",
        "passona_staging.other": "campaign_id VARCHAR",
    }
    for schema in ("analytics", "analytics_staging", "passona_staging"):
        change(warehouse.path, f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for name, columns in tables.items():
        change(warehouse.path, f"CREATE TABLE {name} ({columns})")
        values = ", ".join([f"'{ONE}'", *["'mine'"] * (columns.count(","))])
        change(warehouse.path, f"INSERT INTO {name} VALUES ({values})")
    mine = {name: rows for name, rows in objects(warehouse).items() if name in tables}
    assert warehouse.load(box, retain_days=90).erased > 0
    forgotten(warehouse, "+44 7123 400001")
    assert {name: rows for name, rows in objects(warehouse).items() if name in tables} == mine


def test_it_stays_when_somebody_is_forgotten(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    fill(account)
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    forgotten(warehouse, GONE)
    assert_own_objects_are_there(warehouse, 78)


@of_duckdb_alone
def test_it_stays_through_a_new_key_and_in_the_published_copy(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    fill(account)
    tokens = MODES["pseudonymous"]
    warehouse.load(box, **tokens)
    for statement in OWN:
        change(warehouse.path, statement)
    changed = tokens | {"privacy_key": NEW_KEY, "privacy_former_keys": (tokens["privacy_key"],)}
    assert re_key(warehouse.address, Keeping(**changed), 0, lambda _: None)
    assert_own_objects_are_there(warehouse, 80)
    assert passona("publish", "readers.duckdb").returncode == 0
    assert_own_objects_are_there(Warehouse(tmp_path / "readers.duckdb"), 80)


@of_duckdb_alone
def test_a_warehouse_of_a_version_without_a_register_is_known_by_its_comments(warehouse: Warehouse) -> None:
    unpack(warehouse.path)
    for statement in OWN:
        change(warehouse.path, statement.replace(ONE, GOING))
    with Sandbox(first_account()) as box:
        assert warehouse.load(box).exit_code == 0
    assert asked(warehouse, f"SELECT owner FROM passona.campaigns WHERE campaign_id = '{GOING}'") == [("Ann",)]
    recorded = asked(warehouse, "SELECT object_name FROM passona._objects WHERE schema_name = 'passona'")
    assert {"clicks", "runs", "report_ledger"} <= {name for (name,) in recorded}
    assert "notes" not in {name for (name,) in recorded}


@of_duckdb_alone
@pytest.mark.parametrize("name", ["clicks", "runs"])
def test_in_such_a_warehouse_a_table_of_the_user_is_still_told_from_ours(warehouse: Warehouse, name: str) -> None:
    unpack(warehouse.path)
    change(warehouse.path, f"ALTER TABLE passona.{name} RENAME TO old_{name}")
    change(warehouse.path, f"CREATE TABLE passona.{name} AS SELECT campaign_id FROM passona.old_{name} LIMIT 0"
           if name == "clicks" else f"CREATE TABLE passona.{name} (run_id VARCHAR)")  # fmt: skip
    with Sandbox(first_account()) as box:
        refused(warehouse, box, f"passona.{name} is in the way")


def test_a_lost_comment_does_not_make_a_table_somebody_else_s(loaded: Warehouse, box: Sandbox) -> None:
    change(loaded.path, "COMMENT ON TABLE passona.clicks IS NULL")
    change(loaded.path, "COMMENT ON TABLE passona.runs IS 'my words'")
    assert loaded.load(box).exit_code == 0
    change(loaded.path, "DROP TABLE passona._objects")
    assert loaded.load(box).exit_code == 0
