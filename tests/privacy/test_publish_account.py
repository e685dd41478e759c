"""A copy of one account: exactly its rows, and nothing of another brand in any byte of the file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from passona.analytics.publish import NotPublished, Published, publish_warehouse
from passona.analytics.target import target
from passona.config.privacy_settings import PrivacySettings
from passona.errors import ConfigurationError
from passona.masking.policy import CLEAR
from passona.masking.tokens import Tokens
from passona.warehouse.policy_table import privacy_of_copy
from passona.warehouse.verification import verify
from passona_sandbox import Sandbox
from support.brands import ANN, BRANDS, CUSTOMERS, WORDS, content_of, load_brands, sandboxes
from support.campaigns import ONE, TWO
from support.engines import change
from support.marts import MARTS, build_marts
from support.people import KEY, MODES, forget_people, silent
from support.warehouses import Warehouse
from traces import People, traces

pytestmark = pytest.mark.duckdb("publishes a file")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
OTHER = {"brand_a": "brand_b", "brand_b": "brand_a"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Two brands with their marts, to be copied."""
    warehouse = Warehouse(tmp_path_factory.mktemp("built") / "warehouse.duckdb")
    with sandboxes() as boxes:
        load_brands(warehouse, boxes)
    assert build_marts(warehouse).exit_code == 0
    return warehouse


@pytest.fixture
def brands(built: Warehouse, warehouse: Warehouse) -> Warehouse:
    warehouse.path.write_bytes(built.path.read_bytes())
    return warehouse


@pytest.fixture
def boxes() -> Iterator[dict[str, Sandbox]]:
    with sandboxes() as boxes:
        yield boxes


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "brand.duckdb"


def put(
    warehouse: Warehouse, place: Path, brand: str | None, mode: str = "clear", *, marts_only: bool = False
) -> Published:
    privacy = CLEAR if mode == "clear" else privacy_of_copy(PrivacySettings(privacy_key=KEY), mode)
    to = target(place, warehouse.path, personal=not marts_only)
    return publish_warehouse(warehouse.path, to, 0, silent, marts_only=marts_only, privacy=privacy, account=brand)


def traces_of(warehouse: Warehouse, brand: str, place: Path) -> dict[str, set[str]]:
    """What a copy, also uncompressed, has of this brand."""
    ids = "SELECT run_id FROM passona.runs WHERE account = ? UNION SELECT row_id FROM passona.delivery WHERE campaign_id = ?"
    marks = {WORDS[brand], WORDS[brand].lower(), BRANDS[brand], brand, *(each for (each,) in warehouse.rows(ids, brand, BRANDS[brand]))}  # fmt: skip
    with duckdb.connect(config={"storage_compatibility_version": "v1.2.0"}) as connection:
        connection.execute("PRAGMA force_compression = 'uncompressed'")
        connection.execute(f"ATTACH '{place}' AS made (READ_ONLY); ATTACH '{place.parent}/plain.duckdb' AS plain")
        connection.execute("COPY FROM DATABASE made TO plain")
    people = People(frozenset({CUSTOMERS[brand].encode()}), frozenset(mark.encode() for mark in marks))
    found = traces(place.parent, people)
    (place.parent / "plain.duckdb").unlink()
    return found


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.core(1)
def test_a_copy_has_the_rows_of_its_account_and_no_byte_of_the_other(
    brands: Warehouse, place: Path, brand: str
) -> None:
    published = put(brands, place, brand)
    assert (published.account, published.reports, published.left_out) == (brand, 6, ())
    made, other = Warehouse(place), OTHER[brand]
    names = "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'passona' AND column_name NOT LIKE '\\_%' ESCAPE '\\' AND table_name NOT LIKE '\\_%' ESCAPE '\\'"
    left = {*brands.rows(names)} - {*made.rows(names)}
    assert left == {("clicks", f"{WORDS[other].lower()}_key")}
    assert content_of(made, brand) == content_of(brands, brand, like=made)
    for name in (*content_of(made, brand), *(f"int_{each}" for each in ("recipient_groups", "campaign_totals"))):
        schema = "analytics_staging" if name.startswith("int_") else "passona"
        column = "account" if name == "runs" else "campaign_id"
        assert made.rows(f"SELECT DISTINCT {column} FROM {schema}.{name}") == [(brand if name == "runs" else BRANDS[brand],)], name  # fmt: skip
    for mart in MARTS:
        rows = f"FROM analytics.{mart} WHERE campaign_id = ? ORDER BY ALL"
        assert made.rows(f"FROM analytics.{mart} ORDER BY ALL") == brands.rows(rows, BRANDS[brand]) != [], mart
    assert traces_of(brands, other, place) == {}
    assert traces_of(brands, brand, place) != {}
    assert verify(place, 0, silent).lines == []
    assert place.stat().st_mode & 0o777 == 0o600


def test_of_tables_without_campaigns_only_those_of_the_project_are_copied(brands: Warehouse, place: Path) -> None:
    put(brands, place, "brand_a")
    made = Warehouse(place)
    tables = made.rows(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name LIKE 'analytics%' AND table_name NOT IN "
        "(SELECT table_name FROM duckdb_columns() WHERE column_name IN ('campaign_id', 'account'))"
    )
    counts = {name: made.one(f"SELECT count(*) FROM analytics_staging.{name}")[0] for (name,) in tables}
    # Each row of these is the same in every warehouse.
    expected = {name: brands.one(f"SELECT count(*) FROM analytics_staging.{name}")[0] for name in ("click_rules", "message_statuses", "int_built_project")}  # fmt: skip
    assert counts == expected | {"int_user_agents": 0}


def test_a_copy_is_described_and_can_be_published_again(brands: Warehouse, place: Path, tmp_path: Path) -> None:
    put(brands, place, "brand_a")
    comments = (
        "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal AND comment IS NOT NULL "
        "UNION ALL SELECT schema_name, table_name, NULL, comment FROM duckdb_tables() WHERE NOT internal AND comment IS NOT NULL "
        "UNION ALL SELECT schema_name, view_name, NULL, comment FROM duckdb_views() WHERE NOT internal AND comment IS NOT NULL ORDER BY ALL"
    )
    described = [row for row in brands.rows(comments) if row[2] != "betaword_key" and not row[1].startswith("_")]
    made = Warehouse(place)
    assert [row for row in made.rows(comments) if not row[1].startswith("_")] == described
    again = tmp_path / "again.duckdb"
    put(made, again, "brand_a")
    assert content_of(Warehouse(again), "brand_a") == content_of(made, "brand_a")


@pytest.mark.parametrize("mode", ["pseudonymous", "minimal"])
def test_a_copy_of_one_account_in_another_mode(brands: Warehouse, place: Path, mode: str) -> None:
    published = put(brands, place, "brand_a", mode)
    assert (published.account, published.privacy, published.reports) == ("brand_a", mode, 6)
    assert traces_of(brands, "brand_b", place) == {}
    assert traces(place.parent, People(frozenset({CUSTOMERS["brand_a"].encode(), ANN.encode()}), frozenset())) == {}
    token = Tokens((KEY.encode(),)).of_phone(ANN)
    assert Warehouse(place).one("SELECT count(*) FROM passona.recipient WHERE phone_number = ?", token) == (1,)
    assert verify(place, 0, silent).lines == []


def test_a_pseudonymous_warehouse_gives_its_rows_as_they_are(
    warehouse: Warehouse, boxes: dict[str, Sandbox], place: Path
) -> None:
    load_brands(warehouse, boxes, **MODES["pseudonymous"])
    put(warehouse, place, "brand_a")
    assert content_of(Warehouse(place), "brand_a") == content_of(warehouse, "brand_a", like=Warehouse(place))
    key_id = Tokens((KEY.encode(),)).key_id
    assert Warehouse(place).rows("SELECT mode, key_id FROM passona._privacy") == [("pseudonymous", key_id)]
    assert traces_of(warehouse, "brand_b", place) == {}


@pytest.mark.parametrize("brand", BRANDS)
def test_marts_alone_are_of_one_account_too(brands: Warehouse, place: Path, brand: str) -> None:
    published = put(brands, place, brand, marts_only=True)
    assert (published.account, published.reports) == (brand, 6)
    made = Warehouse(place)
    for mart in ("campaigns", "links", "devices", "campaign_hours", "campaign_statuses", "unsent_reasons"):
        rows = brands.rows(f"FROM analytics.{mart} WHERE campaign_id = ? ORDER BY ALL", BRANDS[brand])
        assert made.rows(f"FROM analytics.{mart} ORDER BY ALL") == rows != [], mart
    assert traces_of(brands, OTHER[brand], place) == {}


def test_what_users_made_and_wrote_is_left_out(passona: Run, brands: Warehouse, tmp_path: Path) -> None:
    change(
        brands.path,
        "CREATE TABLE mine AS SELECT 'Betaword' AS note; CREATE TABLE analytics.theirs AS SELECT 'brand_b' AS account; "
        "ALTER TABLE passona.sent ADD COLUMN remark VARCHAR; UPDATE passona.sent SET remark = 'Betaword'; "
        "COMMENT ON TABLE passona.clicks IS 'as Betaword asked'; COMMENT ON COLUMN passona.clicks.link_name IS 'Betaword'; "
        "COMMENT ON COLUMN passona.sent.remark IS 'Betaword'; COMMENT ON TABLE analytics.campaigns IS 'Betaword first'; "
        "COMMENT ON COLUMN analytics.links.clicks IS 'of Betaword'",
    )
    ended = passona("publish", "--account", "brand_a", "out.duckdb")
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'out.duckdb'}: published, account brand_a, ")
    assert "6 reports agree with the ledger" in first
    assert second == "left out, because you made it: analytics.theirs, main.mine, passona.sent.remark"
    (tmp_path / "alone").mkdir()
    (tmp_path / "out.duckdb").rename(tmp_path / "alone/out.duckdb")
    assert traces_of(brands, "brand_b", tmp_path / "alone/out.duckdb") == {}
    document = json.loads(passona("publish", "--json", "--account", "brand_a", "out.duckdb").stdout)
    assert (document["privacy"], document["left_out"]) == (None, ["analytics.theirs", "main.mine", "passona.sent.remark"])  # fmt: skip
    marts = passona("publish", "--marts-only", "--account", "brand_a", "marts.duckdb")
    assert marts.stdout.startswith(f"{tmp_path / 'marts.duckdb'}: published, account brand_a, marts alone, ")
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts.duckdb").rename(tmp_path / "marts/marts.duckdb")
    assert traces_of(brands, "brand_b", tmp_path / "marts/marts.duckdb") == {}


def test_runs_of_the_whole_warehouse_and_of_campaigns_that_left_are_not_copied(brands: Warehouse, place: Path) -> None:
    change(
        brands.path,
        "INSERT INTO passona.runs (run_id, verb, outcome, account, campaign_id, report, _dlt_load_id) VALUES "
        f"('asked', 'generate', 'accepted', 'brand_a', '{ONE}', 'clicks', ''), ('left', 'generate', 'accepted', 'brand_a', '{TWO}', 'clicks', '')",
    )
    assert ("transform", None) in brands.rows("SELECT verb, account FROM passona.runs")
    put(brands, place, "brand_a")
    assert Warehouse(place).rows("SELECT verb, account, campaign_id FROM passona.runs ORDER BY ALL") == [
        ("generate", "brand_a", ONE), ("load", "brand_a", None),
    ]  # fmt: skip


def test_a_campaign_goes_with_its_account(brands: Warehouse, place: Path) -> None:
    change(brands.path, f"UPDATE passona.campaigns SET account = 'brand_a' WHERE campaign_id = '{TWO}'")
    assert put(brands, place, "brand_a").reports == 12
    assert Warehouse(place).rows("SELECT DISTINCT campaign_id FROM passona.clicks ORDER BY 1") == [(ONE,), (TWO,)]
    assert Warehouse(place).rows("SELECT run_id FROM passona.report_ledger WHERE campaign_id = ?", TWO) == [(None,)] * 6
    place.unlink()  # a copy of one account does not replace that of another
    assert put(brands, place, "brand_b").reports == 0
    assert Warehouse(place).count("clicks") == 0


@pytest.mark.parametrize("marts_only", [False, True])
def test_only_its_own_unverified_reports_prevent_a_copy(brands: Warehouse, place: Path, marts_only: bool) -> None:
    put(brands, place, "brand_a", marts_only=marts_only)
    before = place.read_bytes()
    change(brands.path, f"UPDATE passona.report_ledger SET verified_at = NULL WHERE campaign_id = '{TWO}'")
    change(brands.path, f"DELETE FROM passona.clicks WHERE campaign_id = '{TWO}'")
    change(brands.path, f"UPDATE analytics.links SET clicks = clicks + 1 WHERE campaign_id = '{TWO}'")
    put(brands, place, "brand_a", marts_only=marts_only)
    for brand in ("brand_b", None):
        with pytest.raises(NotPublished, match=f"campaign {TWO}, alt_delivery: a load was interrupted"):
            put(brands, place.with_name("other.duckdb"), brand, marts_only=marts_only)
    change(brands.path, f"DELETE FROM passona.clicks WHERE campaign_id = '{ONE}' AND phone_number = '{ANN}'")
    before = place.read_bytes()
    with pytest.raises(NotPublished, match=f"campaign {ONE}, clicks: expected 2 rows .* got 1"):
        put(brands, place, "brand_a", marts_only=marts_only)
    assert place.read_bytes() == before


def test_an_unknown_account_is_refused_and_those_there_are_named(passona: Run, brands: Warehouse, place: Path) -> None:
    for arguments in ([], ["--marts-only"]):
        ended = passona("publish", "--account", "brand_c", *arguments, str(place))
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == "passona: --account brand_c: the warehouse has no such account; its accounts: brand_a, brand_b\n"  # fmt: skip
    assert list(place.parent.iterdir()) == []


def test_a_warehouse_from_before_accounts_is_to_be_loaded_first(
    warehouse: Warehouse, boxes: dict[str, Sandbox], place: Path
) -> None:
    warehouse.load(boxes["brand_a"])
    put(warehouse, place, "default")
    assert content_of(Warehouse(place), "brand_a")["clicks"] == content_of(warehouse, "brand_a")["clicks"]
    change(warehouse.path, "ALTER TABLE passona.campaigns DROP COLUMN account")
    with pytest.raises(ConfigurationError, match=r"is of an earlier version.*; run passona load first"):
        put(warehouse, place, "default")


def test_nobody_who_is_forgotten_is_listed_in_a_copy(brands: Warehouse, place: Path) -> None:
    forget_people(brands, CUSTOMERS["brand_b"])
    forgotten = [entry for (entry,) in brands.rows("SELECT entry FROM passona._forgotten")]
    ((key,),) = brands.rows("SELECT forgetting_key FROM passona._privacy")
    put(brands, place, "brand_a")
    marks = frozenset(mark.encode() for mark in (*forgotten, key))
    assert traces(place.parent, People(frozenset(), marks)) == {}
