"""A load that says "ok" has counted its rows in the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dlt
import pytest

from passona.config import dlt_context
from passona.config.settings import Settings
from passona.errors import NotWritten
from passona.warehouse.database import Database, open_database
from passona.warehouse.load import Load, LoadRequest
from passona_sandbox import Account, Sandbox
from support.engines import change
from support.warehouses import Lines, Warehouse

pytestmark = pytest.mark.both

ACCOUNT = Account(campaigns=1, rows=60, special=False)


@pytest.fixture(scope="module")
def full_box() -> Iterator[Sandbox]:
    with Sandbox(ACCOUNT) as box:
        yield box


def load(database: Database, box: Sandbox) -> None:
    settings = Settings(api_token=box.token, base_url=box.base_url, retry_pause=0.01)
    Load([settings], database, LoadRequest(), Lines()).run()


def test_rows_that_went_into_another_schema_are_missed(
    engine: str, warehouse: Warehouse, full_box: Sandbox, tmp_path: Path
) -> None:
    # As dlt's dev_mode sends them; the load used to end with "ok".
    with closing(open_database(warehouse.address, 0, print)) as database:
        with dlt_context.use(dlt_context.LOADING):
            database.pipeline = dlt.pipeline(
                "passona", pipelines_dir=str(tmp_path / "dlt"), destination=database.engine.destination(),
                dataset_name="elsewhere",
            )  # fmt: skip
        # Postgres already misses a table of dlt's.
        said = r"^campaign [-0-9a-f]{36}, \w+: expected \d+ rows in the table after" if engine == "duckdb" else None
        with pytest.raises(NotWritten, match=said):
            load(database, full_box)
    assert warehouse.count("clicks") == 0
    assert warehouse.rows("SELECT outcome FROM passona.runs") == [("error",)]
    assert warehouse.load(full_box).word == "ok"
    assert warehouse.count("clicks") > 0


TRIGGER = """
CREATE FUNCTION passona.drop_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER dropping BEFORE INSERT ON passona.{} FOR EACH ROW EXECUTE FUNCTION passona.drop_row()
"""


@pytest.mark.postgres("DuckDB has no triggers")
@pytest.mark.parametrize("table", ["clicks", "report_ledger"])
def test_rows_that_a_trigger_drops_are_missed(warehouse: Warehouse, full_box: Sandbox, table: str) -> None:
    warehouse.load(full_box, reports=["sent"])
    change(warehouse.path, TRIGGER.format(table))
    with pytest.raises(NotWritten, match="after"):
        warehouse.load(full_box)
    assert (
        warehouse.rows("SELECT 1 FROM passona.report_ledger WHERE report = 'clicks' AND verified_at IS NOT NULL") == []
    )
    change(warehouse.path, f"DROP TRIGGER dropping ON passona.{table}")
    assert warehouse.load(full_box).word == "ok"
    assert warehouse.count("clicks") > 0
