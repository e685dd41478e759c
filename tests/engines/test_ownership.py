"""What users have in the warehouse: their own objects stay as they are, and those that are in the way are named.

Run by `make test` on DuckDB and by `make postgres-check` on Postgres.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passona.analytics.transform import transform
from passona.config.privacy_settings import PrivacySettings
from passona.erasure.rekey import re_key
from passona.errors import ConfigurationError
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, ended_campaign, message, open_campaign
from support.engines import POSTGRES, change, copy, native_rows, url_of
from support.first_release import GOING, unpack
from support.first_release import account as first_account
from support.people import GONE, MODES, NEW_KEY, fill, forget_people
from support.warehouses import Warehouse

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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
    names = native_rows(
        warehouse.path,
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY 1, 2",
    )
    return {
        f"{schema}.{name}": sorted(native_rows(warehouse.path, f'SELECT * FROM "{schema}"."{name}"'), key=repr)
        for schema, name in names
    }


def built(warehouse: Warehouse, **wanted: Any) -> None:
    outcome = transform(warehouse.address, {"default": "Europe/London"}, 0, print, **wanted)
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
    "passona._given_up": "CREATE TABLE passona._given_up (id INTEGER)",
    "passona._dlt_loads": "CREATE TABLE passona._dlt_loads (load_id VARCHAR)",
    "passona._dlt_version": "CREATE TABLE passona._dlt_version (schema_name VARCHAR, schema VARCHAR, version BIGINT)",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.core(2)
def test_a_user_object_in_the_place_of_ours_stops_the_load(
    warehouse: Warehouse, account: Account, box: Sandbox, name: str
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    _ = warehouse.address
    change(warehouse.path, f"CREATE SCHEMA passona; {FOREIGN[name]}")
    refused(warehouse, box, f"{name} is in the way: passona-warehouse did not create this (table|view); rename it")


@pytest.mark.duckdb("about a file, its copies and its register")
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


@pytest.mark.postgres("about a server's objects")
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


@pytest.mark.core
def test_the_command_ends_with_2(passona: Run, warehouse: Warehouse, box: Sandbox) -> None:
    _ = warehouse.address
    change(warehouse.path, "CREATE SCHEMA passona; CREATE TABLE passona.clicks (id INTEGER)")
    for verb in (["load"], ["generate", ONE], ["forget", GONE], ["transform"]):
        ended = passona(*verb, box=box)
        assert (ended.returncode, ended.stdout) == (2, ""), verb
        assert ended.stderr.startswith("passona: passona.clicks is in the way: "), ended.stderr
    assert box.requests == []


# After loads.


ROWS = {"clicks": [click(n) for n in range(3)], "alt_delivery": [message(1)]}


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse after loads, to be copied."""
    warehouse, account = Warehouse(tmp_path_factory.mktemp("loaded") / "warehouse.duckdb"), Account.empty()
    account.put(open_campaign(ONE), ROWS)
    with Sandbox(account) as box:
        assert warehouse.load(box).exit_code == 0
        assert warehouse.load(box, refresh=True).exit_code == 0  # makes all of dlt's staging
    return warehouse


@pytest.fixture
def loaded(loaded_once: Warehouse, warehouse: Warehouse, account: Account) -> Warehouse:
    account.put(open_campaign(ONE), ROWS)
    copy(loaded_once.path, warehouse.path)
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
    "unsent is in the way: .* this table": (
        "DROP TABLE passona.unsent; CREATE TABLE passona.unsent (id INTEGER, _dlt_load_id VARCHAR); "
        "COMMENT ON TABLE passona.unsent IS 'mine'"
    ),
    "clicks: column _dlt_load_id is missing": "ALTER TABLE passona.clicks DROP COLUMN _dlt_load_id",
    "NOT NULL column _dlt_note without a default": (
        "ALTER TABLE passona.clicks ADD COLUMN _dlt_note VARCHAR; UPDATE passona.clicks SET _dlt_note = 'x'; "
        "ALTER TABLE passona.clicks ALTER COLUMN _dlt_note SET NOT NULL"
    ),
}  # fmt: skip


@pytest.mark.parametrize("named", OBSTACLES)
@pytest.mark.core(1)
def test_a_table_that_cannot_be_written_is_named_before_the_first_request(
    engine: str, loaded: Warehouse, box: Sandbox, named: str
) -> None:
    sql = OBSTACLES[named] if engine == "postgres" else OBSTACLES[named].replace(" STORED", "")
    for statement in sql.split("; "):
        change(loaded.path, statement)
    refused(loaded, box, f"passona.*{named}", refresh=True)


@pytest.mark.duckdb("about a file, its copies and its register")
def test_so_is_what_was_done_to_the_staging_dataset(loaded: Warehouse, box: Sandbox) -> None:
    change(loaded.path, "CREATE UNIQUE INDEX once ON passona_staging.clicks (row_id)")
    refused(loaded, box, "passona_staging.clicks cannot be written: unique index once; change or remove that, then run")


@pytest.mark.postgres("about a server's objects")
@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("CREATE RULE none AS ON INSERT TO passona.clicks DO INSTEAD NOTHING", "rule none"),
        ("CREATE TABLE passona.more () INHERITS (passona.clicks)", "inheritance: .*more inherits from .*clicks"),
        ("ALTER TABLE passona.clicks ALTER COLUMN link_name TYPE VARCHAR(5)", "link_name is CHARACTER VARYING.5., exp"),
        ("ALTER TABLE passona.clicks ADD EXCLUDE (row_id WITH =)", "exclusion constraint"),
        ("CREATE PUBLICATION p FOR TABLE passona.clicks", "publication p without REPLICA IDENTITY FULL"),
        (("CREATE DOMAIN given AS VARCHAR NOT NULL; ALTER TABLE passona.clicks ADD COLUMN note given DEFAULT 'x'; "
         "ALTER TABLE passona.clicks ALTER COLUMN note DROP DEFAULT"), "NOT NULL column note without a default"),
    ],
)  # fmt: skip
def test_postgres_knows_more_ways_to_refuse_a_row(loaded: Warehouse, box: Sandbox, sql: str, named: str) -> None:
    for statement in sql.split("; "):
        change(loaded.path, statement)
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
    assert native_rows(warehouse.path, "SELECT campaign_id, note FROM passona.notes") == [(ONE, "mine")]
    assert native_rows(warehouse.path, "SELECT id, click_id FROM analytics.orders") == [(1, "mine")]
    assert native_rows(warehouse.path, f"SELECT n FROM passona.seen WHERE campaign_id = '{ONE}'") == [(clicks,)]
    assert native_rows(warehouse.path, "SELECT n FROM analytics.on_it")[0][0] >= clicks
    assert native_rows(warehouse.path, f"SELECT owner FROM passona.campaigns WHERE campaign_id = '{ONE}'") == [(owner,)]
    assert native_rows(warehouse.path, "SELECT count(mine) + count(given) FROM passona.clicks")[0][0] >= 0
    indexes = "SELECT indexname FROM pg_indexes" if POSTGRES else "SELECT index_name FROM duckdb_indexes()"
    assert ("by_agent",) in native_rows(warehouse.path, indexes)


def test_what_users_put_beside_and_on_our_tables_stays_through_loads(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(3)]})
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    clicks = {"clicks": [click(n) | {"Mood": "good"} for n in range(4)]}
    account.put(open_campaign(ONE), clicks)
    assert warehouse.load(box).exit_code == 0
    assert_own_objects_are_there(warehouse, 4)
    assert native_rows(warehouse.path, "SELECT mine, given, mood FROM passona.clicks") == [(None, 5, "good")] * 4
    assert warehouse.load(box, refresh=True).exit_code == 0
    assert_own_objects_are_there(warehouse, 4)
    comments = warehouse.rows(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'campaigns' AND column_name = 'owner'"
    )
    assert comments == [("owner", "my words")]
    account.put(open_campaign(ONE, name="Renamed"), clicks)
    assert warehouse.load(box).exit_code == 0
    assert_own_objects_are_there(warehouse, 4, owner=None)


def test_it_stays_through_an_upgrade(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(3)]})
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    change(warehouse.path, "ALTER TABLE passona.runs DROP COLUMN erased")
    change(warehouse.path, "DELETE FROM passona._upgrades")  # as the first version left it
    assert warehouse.load(box).exit_code == 0
    assert_own_objects_are_there(warehouse, 3)
    assert native_rows(warehouse.path, "SELECT mine FROM passona.clicks") == [("x",)] * 3


@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_it_stays_through_retention(warehouse: Warehouse, account: Account, box: Sandbox, mode: str) -> None:
    account.put(ended_campaign(ONE, 100), {"clicks": [click(n) | {"Mood": "good"} for n in range(3)]})
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    outcome = warehouse.load(box, retain_days=90, retain_mode=mode)
    assert outcome.erased > 0
    left = 3 if mode == "columns" else None
    if left:
        assert_own_objects_are_there(warehouse, 3)
        assert (
            native_rows(warehouse.path, "SELECT phone_number, mood, mine FROM passona.clicks")
            == [(None, None, "x")] * 3
        )
    assert native_rows(warehouse.path, "SELECT click_id FROM analytics.orders") == [("mine",)]


def test_user_tables_named_like_models_are_left_alone(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(ended_campaign(ONE, 100), {"clicks": [click(n) for n in range(3)]})
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
    forget_people(warehouse, "+44 7123 400001")
    assert {name: rows for name, rows in objects(warehouse).items() if name in tables} == mine


def test_it_stays_when_somebody_is_forgotten(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    fill(account)
    warehouse.load(box)
    for statement in OWN:
        change(warehouse.path, statement)
    forget_people(warehouse, GONE)
    assert_own_objects_are_there(warehouse, 78)


@pytest.mark.duckdb("about a file, its copies and its register")
def test_it_stays_through_a_new_key_and_in_the_published_copy(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    fill(account)
    tokens = MODES["pseudonymous"]
    warehouse.load(box, **tokens)
    for statement in OWN:
        change(warehouse.path, statement)
    changed = tokens | {"privacy_key": NEW_KEY, "privacy_former_keys": (tokens["privacy_key"],)}
    assert re_key(warehouse.address, PrivacySettings(**changed), 0, lambda _: None)
    assert_own_objects_are_there(warehouse, 80)
    assert passona("publish", "readers.duckdb").returncode == 0
    assert_own_objects_are_there(Warehouse(tmp_path / "readers.duckdb"), 80)


@pytest.mark.duckdb("about a file, its copies and its register")
def test_a_warehouse_of_a_version_without_a_register_is_known_by_its_comments(warehouse: Warehouse) -> None:
    unpack(warehouse.path)
    for statement in OWN:
        change(warehouse.path, statement.replace(ONE, GOING))
    with Sandbox(first_account()) as box:
        assert warehouse.load(box).exit_code == 0
    assert native_rows(warehouse.path, f"SELECT owner FROM passona.campaigns WHERE campaign_id = '{GOING}'") == [
        ("Ann",)
    ]
    recorded = native_rows(warehouse.path, "SELECT object_name FROM passona._objects WHERE schema_name = 'passona'")
    assert {"clicks", "runs", "report_ledger"} <= {name for (name,) in recorded}
    assert "notes" not in {name for (name,) in recorded}


@pytest.mark.duckdb("about a file, its copies and its register")
@pytest.mark.parametrize("name", ["clicks", "runs"])
def test_in_such_a_warehouse_a_table_of_the_user_is_still_told_from_ours(warehouse: Warehouse, name: str) -> None:
    unpack(warehouse.path)
    change(warehouse.path, f"ALTER TABLE passona.{name} RENAME TO old_{name}")
    change(warehouse.path, f"CREATE TABLE passona.{name} AS SELECT campaign_id FROM passona.old_{name} LIMIT 0"
           if name == "clicks" else f"CREATE TABLE passona.{name} (run_id VARCHAR)")  # fmt: skip
    with Sandbox(first_account()) as box:
        refused(warehouse, box, f"passona.{name} is in the way")


@pytest.mark.core
def test_a_new_key_of_the_api_does_not_take_a_user_s_column_of_its_name(
    loaded: Warehouse, account: Account, box: Sandbox
) -> None:
    change(loaded.path, "ALTER TABLE passona.clicks ADD COLUMN mood INTEGER")
    moods = [click(n) | {"Mood": "good"} for n in range(3)]
    account.put(open_campaign(ONE), {"clicks": moods, "alt_delivery": [message(1)]})
    assert loaded.load(box).exit_code == 0
    ((column,),) = native_rows(loaded.path, "SELECT column_name FROM passona._keys WHERE table_name = 'clicks'")
    assert column != "mood"
    assert native_rows(loaded.path, f"SELECT {column}, mood FROM passona.clicks") == [("good", None)] * 3


@pytest.mark.postgres("about a server's objects")
def test_a_schema_in_which_the_role_may_create_nothing_is_named(
    warehouse: Warehouse, box: Sandbox, passona: Run
) -> None:
    _ = warehouse.address
    url = url_of(warehouse.path)
    role = f"loader_{url.rpartition('/')[2]}"
    for statement in (
        f"CREATE ROLE {role} LOGIN PASSWORD 'not-a-secret'",
        f"GRANT CREATE ON DATABASE {url.rpartition('/')[2]} TO {role}",
        "CREATE SCHEMA analytics",
    ):
        change(warehouse.path, statement)
    credentials = url.replace("//passona:", f"//{role}:")
    try:
        refused = passona("load", "--transform", box=box, DESTINATION__WAREHOUSE__CREDENTIALS=credentials)
    finally:
        change(warehouse.path, f"DROP OWNED BY {role}")
        change(warehouse.path, f"DROP ROLE {role}")
    assert (refused.returncode, box.requests) == (2, [])
    assert f"schema analytics: role {role} lacks the right USAGE on it; grant it, then run again" in refused.stderr


@pytest.mark.postgres("about a server's objects")
def test_schemas_of_the_user_that_are_called_like_a_staging_dataset_stay(loaded: Warehouse, box: Sandbox) -> None:
    for schema in ("passona_staging", "passona_staging_backup", "passona_staging_0badcafe"):
        change(loaded.path, f"CREATE SCHEMA {schema}")
        change(loaded.path, f"CREATE TABLE {schema}.clicks (id INTEGER)")
        change(loaded.path, f"INSERT INTO {schema}.clicks VALUES (1)")
    assert loaded.load(box, refresh=True, retain_days=90).exit_code == 0
    for schema in ("passona_staging", "passona_staging_backup", "passona_staging_0badcafe"):
        assert native_rows(loaded.path, f"SELECT id FROM {schema}.clicks") == [(1,)]


@pytest.mark.postgres("about a server's objects")
def test_a_user_table_that_names_a_forgotten_person_is_reported(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    fill(account)
    warehouse.load(box)
    for statement in (
        "CREATE SCHEMA analytics",
        f"CREATE TABLE analytics.customers AS SELECT '{GONE}' AS phone, 'Ann' AS name",
        f"CREATE TABLE passona.notes AS SELECT 'call +{GONE}' AS note",
        "CREATE TABLE analytics.others AS SELECT '447123400004' AS phone",
    ):
        change(warehouse.path, statement)
    found = forget_people(warehouse, GONE)
    assert found.elsewhere == ["analytics.customers", "passona.notes"]
    assert native_rows(warehouse.path, "SELECT phone FROM analytics.customers") == [(GONE,)]
    assert native_rows(warehouse.path, "SELECT note FROM passona.notes") == [(f"call +{GONE}",)]
    said = passona("forget", GONE, box=box)
    assert "analytics.customers is not a table of passona-warehouse and names these people too" in said.stderr


@pytest.mark.duckdb("about a file, its copies and its register")
def test_a_rewritten_file_has_all_that_users_made(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    fill(account)
    warehouse.load(box)
    for statement in (
        "CREATE SCHEMA mine",
        "CREATE TYPE mine.mood AS ENUM ('good', 'bad')",
        "CREATE SEQUENCE mine.numbers",
        "CREATE MACRO mine.twice(a) AS 2 * a",
        "CREATE TABLE mine.z (id INTEGER PRIMARY KEY, n INTEGER DEFAULT nextval('mine.numbers'))",
        "CREATE TABLE mine.a (id INTEGER REFERENCES mine.z (id), twice INTEGER GENERATED ALWAYS AS (2 * id), m mine.mood)",
        "INSERT INTO mine.z (id) VALUES (1)",
        "INSERT INTO mine.a (id, m) VALUES (1, 'good')",
        "CREATE VIEW mine.second AS SELECT mine.twice(id) AS x FROM mine.a",
        "CREATE VIEW mine.first AS SELECT * FROM mine.second",
        "CREATE INDEX by_mood ON mine.a (m)",
        "COMMENT ON TABLE mine.a IS 'my words'",
    ):
        change(warehouse.path, statement)
    definitions = (
        "SELECT table_name, sql, comment FROM duckdb_tables() UNION ALL SELECT view_name, sql, comment FROM duckdb_views() "
        "WHERE NOT internal UNION ALL SELECT index_name, sql, comment FROM duckdb_indexes() ORDER BY ALL"
    )
    before = warehouse.rows(definitions)
    mine = {name: rows for name, rows in objects(warehouse).items() if name.startswith("mine.")}
    assert mine == {"mine.a": [(1, 2, "good")], "mine.z": [(1, 1)], "mine.first": [(2,)], "mine.second": [(2,)]}
    forget_people(warehouse, GONE)
    assert warehouse.rows(definitions) == before
    assert {name: rows for name, rows in objects(warehouse).items() if name.startswith("mine.")} == mine
    change(warehouse.path, "INSERT INTO mine.z (id) VALUES (2)")
    assert warehouse.rows("FROM mine.z ORDER BY id") == [(1, 1), (2, 2)]


@pytest.mark.duckdb("about a file, its copies and its register")
def test_forget_refuses_a_user_constraint_that_blocks_it(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    fill(account)
    warehouse.load(box)
    for statement in (
        "CREATE TABLE people (id INTEGER PRIMARY KEY, phone VARCHAR UNIQUE)",
        f"INSERT INTO people VALUES (1, '{GONE}')",
        "CREATE TABLE calls (person INTEGER REFERENCES people (id))",
        "INSERT INTO calls VALUES (1)",
    ):
        change(warehouse.path, statement)
    before = warehouse.content()
    with pytest.raises(ConfigurationError, match=r'"main"\."people": a constraint keeps people in this table'):
        forget_people(warehouse, GONE)
    assert warehouse.content() == before
    change(warehouse.path, "DROP TABLE calls")
    assert forget_people(warehouse, GONE).tables["main.people"] == 1
    assert warehouse.rows("FROM people") == []


def test_a_lost_comment_does_not_make_a_table_somebody_else_s(loaded: Warehouse, box: Sandbox) -> None:
    change(loaded.path, "COMMENT ON TABLE passona.clicks IS NULL")
    change(loaded.path, "COMMENT ON TABLE passona.runs IS 'my words'")
    assert loaded.load(box).exit_code == 0
    change(loaded.path, "DROP TABLE passona._objects")
    assert loaded.load(box).exit_code == 0


# Models.

MODELS = ("campaigns", "messages", "clicks", "links", "devices", "campaign_hours", "campaign_statuses",
          "unsent_reasons", "recipient_fields")  # fmt: skip


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with its models, to be copied."""
    warehouse, account = Warehouse(tmp_path_factory.mktemp("models") / "warehouse.duckdb"), Account.empty()
    fill(account, 10)
    with Sandbox(account) as box:
        warehouse.load(box)
    built(warehouse)
    return warehouse


@pytest.fixture
def own(transformed: Warehouse, warehouse: Warehouse) -> Warehouse:
    copy(transformed.path, warehouse.path)
    return warehouse


def not_built(warehouse: Warehouse, named: str) -> None:
    """A transformation ends with exit code 2 before it builds anything."""
    database = objects(warehouse)
    with pytest.raises(ConfigurationError, match=named):
        transform(warehouse.address, {"default": "Europe/London"}, 0, print)
    assert {name: rows for name, rows in objects(warehouse).items() if not name.startswith("passona.")} == {
        name: rows for name, rows in database.items() if not name.startswith("passona.")
    }


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("analytics.campaigns", "CREATE TABLE analytics.campaigns (id INTEGER); INSERT INTO analytics.campaigns VALUES (1)"),
        ("analytics.campaigns", "CREATE TABLE analytics.campaigns AS SELECT * FROM passona.campaigns; COMMENT ON TABLE analytics.campaigns IS 'One row per campaign'"),
        ("analytics.clicks", "CREATE TABLE analytics.clicks AS SELECT * FROM passona.clicks"),
        ("analytics.links", "CREATE VIEW analytics.links AS SELECT 1 AS x"),
        ("analytics_staging.stg_passona__clicks", "CREATE VIEW analytics_staging.stg_passona__clicks AS SELECT 1 AS x"),
        ("analytics_staging.click_rules", "CREATE TABLE analytics_staging.click_rules (rule VARCHAR)"),
        ("analytics_staging.int_built_project", "CREATE TABLE analytics_staging.int_built_project (x VARCHAR)"),
    ],
)  # fmt: skip
def test_a_user_object_in_the_place_of_a_model_stops_the_build(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, name: str, sql: str
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    warehouse.load(box)
    for statement in (f"CREATE SCHEMA {name.partition('.')[0]}", *sql.split("; ")):
        change(warehouse.path, statement)
    not_built(warehouse, f"{name} is in the way: passona-warehouse did not create this")
    box.forget_requests()
    ended = passona("load", "--transform", box=box)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{name} is in the way" in ended.stderr
    assert box.requests == []


def test_a_schema_that_was_there_is_used_beside_what_is_in_it(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    _ = warehouse.address
    for statement in (
        "CREATE SCHEMA analytics",
        "CREATE TABLE analytics.orders (id INTEGER PRIMARY KEY)",
        "INSERT INTO analytics.orders VALUES (1)",
        "CREATE VIEW analytics.campaign AS SELECT * FROM analytics.orders",
        "CREATE SCHEMA analytics_staging",
        "CREATE TABLE analytics_staging.mine (id INTEGER)",
        "CREATE SCHEMA passona",
        "CREATE TABLE passona.mine (id INTEGER NOT NULL)",
    ):
        change(warehouse.path, statement)
    account.put(open_campaign(ONE), {"clicks": [click()]})
    assert warehouse.load(box).exit_code == 0
    built(warehouse)
    found = objects(warehouse)
    assert [found[name] for name in ("analytics.orders", "analytics.campaign")] == [[(1,)], [(1,)]]
    assert {"analytics_staging.mine", "passona.mine"} <= found.keys()
    assert len(found["analytics.campaigns"]) == 1


OWN_MODELS = [
    *(f"CREATE VIEW analytics.my_{name} AS SELECT * FROM analytics.{name}" for name in MODELS),
    "CREATE VIEW analytics.on_all AS SELECT campaign_id FROM analytics.my_messages UNION SELECT campaign_id FROM analytics.my_clicks",
    "CREATE VIEW analytics.staged AS SELECT * FROM analytics_staging.stg_passona__clicks",
    "CREATE VIEW analytics.rules AS SELECT * FROM analytics_staging.click_rules",
    "CREATE VIEW analytics.versions AS SELECT * FROM analytics_staging.int_campaign_versions",
    "CREATE TABLE analytics.mine AS SELECT campaign_id, sent FROM analytics.campaigns",
    "CREATE INDEX by_phone ON analytics.messages (phone)",
    "CREATE INDEX by_name ON analytics.campaigns (campaign_name)",
    *(f"ALTER TABLE analytics.{name} ADD COLUMN remark VARCHAR" for name in MODELS),
    "ALTER TABLE analytics_staging.click_rules ADD COLUMN remark VARCHAR",
    "ALTER TABLE analytics.messages ADD COLUMN weight INTEGER DEFAULT 1",
    "UPDATE analytics.messages SET remark = 'mine'",
    "COMMENT ON COLUMN analytics.messages.remark IS 'my words'",
]  # fmt: skip


def test_what_users_put_on_models_stays_through_builds_full_ones_too(
    own: Warehouse, account: Account, box: Sandbox
) -> None:
    for statement in OWN_MODELS:
        change(own.path, statement)
    fill(account, 10)
    account.put(open_campaign(TWO, name="Renamed"), {"recipient": [], "clicks": [click(n) for n in range(7)]})
    assert own.load(box, accept_shrink=True).exit_code == 0
    mine = objects(own)["analytics.mine"]
    built(own)
    # Rows of campaigns that were not built keep what the user wrote into them.
    assert native_rows(
        own.path, f"SELECT DISTINCT remark, weight FROM analytics.messages WHERE campaign_id = '{ONE}'"
    ) == [("mine", 1)]
    assert_own_models_are_there(own, mine)
    # A new version of the project builds all anew, as --full-refresh does.
    change(own.path, "UPDATE analytics_staging.int_built_project SET project_version = 'another'")
    built(own)
    assert_own_models_are_there(own, mine)
    assert native_rows(own.path, "SELECT DISTINCT remark, weight FROM analytics.messages") == [(None, 1)]
    comment = own.rows("SELECT comment FROM duckdb_columns() WHERE table_name = 'messages' AND column_name = 'remark'")
    assert comment == [("my words",)]


def assert_own_models_are_there(warehouse: Warehouse, mine: list[tuple[Any, ...]]) -> None:
    found = objects(warehouse)
    for name in MODELS:
        seen, rows = found[f"analytics.my_{name}"], found[f"analytics.{name}"]
        assert seen == [row[: len(seen[0])] for row in rows], name
    assert len(found["analytics.messages"]) == 10
    assert len(found["analytics.on_all"]) == 2
    assert len(found["analytics.staged"]) == 27
    # A view that has to be made anew has the columns of today, where an old one keeps those of its first day.
    rules, columns = found["analytics_staging.click_rules"], len(found["analytics.rules"][0])
    assert found["analytics.rules"] == [row[:columns] for row in rules]
    assert found["analytics.versions"] == found["analytics_staging.int_campaign_versions"]
    assert found["analytics.mine"] == mine
    indexes = "SELECT indexname FROM pg_indexes" if POSTGRES else "SELECT index_name FROM duckdb_indexes()"
    assert {("by_phone",), ("by_name",)} <= {*native_rows(warehouse.path, indexes)}


MODEL_OBSTACLES = {
    "analytics.messages cannot be written: NOT NULL column remark without a default": (
        "ALTER TABLE analytics.messages ADD COLUMN remark VARCHAR; UPDATE analytics.messages SET remark = 'x'; "
        "ALTER TABLE analytics.messages ALTER COLUMN remark SET NOT NULL"
    ),
    "analytics.links cannot be written: unique index once": (
        "CREATE UNIQUE INDEX once ON analytics.links (campaign_id, link_name, link_destination)"
    ),
    "analytics.clicks is in the way: passona-warehouse did not create this view": (
        "DROP TABLE analytics.clicks; CREATE VIEW analytics.clicks AS SELECT * FROM passona.clicks"
    ),
    "analytics.clicks is in the way: passona-warehouse did not create this table": (
        "DROP TABLE analytics.clicks; CREATE TABLE analytics.clicks AS SELECT 1 AS campaign_id"
    ),
    "analytics_staging.stg_passona__sent is in the way: passona-warehouse did not create this table": (
        "DROP VIEW analytics_staging.stg_passona__sent CASCADE; "
        "CREATE TABLE analytics_staging.stg_passona__sent AS SELECT 1 AS campaign_id"
    ),
}


@pytest.mark.parametrize("named", MODEL_OBSTACLES)
def test_a_user_change_that_blocks_a_build_is_named(own: Warehouse, named: str) -> None:
    for statement in MODEL_OBSTACLES[named].split("; "):
        change(own.path, statement)
    not_built(own, named.replace("once", "(analytics.)?once"))


def test_models_of_a_version_without_a_register_are_known_by_their_comments(own: Warehouse) -> None:
    change(own.path, "DROP TABLE passona._objects")
    change(own.path, "CREATE VIEW analytics.mine AS SELECT * FROM analytics.campaigns")
    built(own)
    assert len(native_rows(own.path, "SELECT 1 FROM passona._objects WHERE schema_name = 'analytics'")) == len(MODELS)
    change(own.path, "DROP TABLE passona._objects")
    change(own.path, "DROP TABLE analytics.links")
    change(own.path, "CREATE TABLE analytics.links AS SELECT 1 AS x")
    not_built(own, "analytics.links is in the way")


def test_a_model_of_another_version_gets_the_columns_of_this_one(own: Warehouse) -> None:
    before = objects(own)
    for statement in (
        "ALTER TABLE analytics.messages DROP COLUMN segments",
        "ALTER TABLE analytics.messages ADD COLUMN remark VARCHAR",
        "ALTER TABLE analytics.links ALTER COLUMN clicks TYPE VARCHAR",
        "ALTER TABLE analytics.links ADD COLUMN old_figure INTEGER",
        "UPDATE passona._objects SET columns = columns || ',old_figure' WHERE object_name = 'links'",
        "ALTER TABLE analytics_staging.click_rules DROP COLUMN pattern",
        "CREATE VIEW analytics.mine AS SELECT campaign_id, link_name FROM analytics.links",
    ):
        change(own.path, statement)
    built(own, full_refresh=True)
    after = objects(own)
    names = own.rows("SELECT column_name FROM duckdb_columns() WHERE table_name = 'links' ORDER BY column_index")
    assert ("old_figure",) not in names
    assert sorted(after["analytics.links"]) == sorted(before["analytics.links"])
    assert len(native_rows(own.path, "SELECT remark, segments FROM analytics.messages WHERE segments > 0")) == 10
    assert {len(row) for row in after["analytics_staging.click_rules"]} == {4}
    assert len(after["analytics.mine"]) == len(before["analytics.links"])


@pytest.mark.postgres("about a server's objects")
def test_a_view_on_a_column_that_this_version_changes_is_named(own: Warehouse) -> None:
    for statement in (
        "ALTER TABLE analytics.links ALTER COLUMN clicks TYPE INTEGER",
        "CREATE VIEW analytics.mine AS SELECT campaign_id, clicks FROM analytics.links",
    ):
        change(own.path, statement)
    outcome = transform(own.address, {"default": "Europe/London"}, 0, print, full_refresh=True)
    assert outcome.exit_code == 2
    (line,) = [line for line in outcome.failures if line.startswith("model links:")]
    assert 'view analytics.mine depends on column "clicks"' in line
    assert len(native_rows(own.path, "SELECT clicks FROM analytics.mine")) > 0


KILLED = """
import os, pathlib, signal, sys
sys.path[:0] = {path!r}
from support.engines import address_of
from passona.analytics import transform as module
from dbt.adapters.sql import SQLConnectionManager
plain = SQLConnectionManager.add_query
def deadly(self, sql, *arguments, **others):
    if "int_campaign_totals" in sql and "insert into" in sql.lower():
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, sql, *arguments, **others)
SQLConnectionManager.add_query = deadly
module.transform(address_of(pathlib.Path(sys.argv[1])), {{"default": "Europe/London"}}, 0, print, full_refresh=True)
"""


def test_a_build_that_is_killed_leaves_models_that_the_next_one_knows(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    fill(account, 10)
    warehouse.load(box)
    script = KILLED.format(path=sys.path)
    killed = subprocess.run([sys.executable, "-c", script, str(warehouse.path)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    built(warehouse)
