"""The source and the dbt project as Dagster assets: `make dagster` starts it, docs/orchestration.md describes it.

    passona_source (an asset per resource) -> dbt models (an asset each; their tests are asset checks)

PASSONA_WAREHOUSE names the DuckDB file, for dlt and for dbt. The source reads its token and its settings as in any
pipeline (SOURCES__PASSONA__...). Everything here is in the pool `warehouse`, which dagster.yaml limits to one writer.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import dlt
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from passona import passona_source

POOL = "warehouse"
WAREHOUSE = os.environ["PASSONA_WAREHOUSE"]  # an absolute path: dbt runs in another folder
TIMEZONE = dlt.config.get("sources.passona.timezone") or "Europe/London"

pipeline = dlt.pipeline(
    "passona",
    destination=dlt.destinations.duckdb(WAREHOUSE, supports_transactions=True),  # DELETE and INSERT in one transaction
    dataset_name="passona",
)
dbt_project = DbtProject(Path(__file__).parents[1] / "warehouse", target_path=Path(os.environ["DAGSTER_HOME"], "dbt"))
dbt_project.prepare_if_dev()


class LoadConfig(dg.Config):
    """Arguments of `passona_source` that differ from run to run."""

    refresh: bool = False
    accept_shrink: bool = False


class ResourceKeys(DagsterDltTranslator):
    """Resource `clicks` is the asset `passona/clicks`, which is what dbt calls its table."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        return super().get_asset_spec(data).replace_attributes(key=["passona", data.resource.name], deps=[])


class TableKeys(DagsterDbtTranslator):
    """A child table, such as `unsent__fields`, belongs to the asset of its resource."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] != "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey(["passona", dbt_resource_props["name"].partition("__")[0]])


@dlt_assets(
    dlt_source=passona_source(),
    dlt_pipeline=pipeline,
    dagster_dlt_translator=ResourceKeys(),
    name="load",
    group_name="passona",
    pool=POOL,
)
def load(context: dg.AssetExecutionContext, dlt: DagsterDltResource, config: LoadConfig) -> Iterator[Any]:
    yield from dlt.run(context, dlt_source=passona_source(**config.model_dump()))


@dg.asset_check(asset=dg.AssetKey(["passona", "report_ledger"]), pool=POOL)
def complete() -> dg.AssetCheckResult:
    """No report failed or is held; those keep their old rows, and the models are built on them."""
    with pipeline.sql_client() as client:
        query = "SELECT campaign_id, report, error FROM report_ledger WHERE state IN ('failed', 'held')"
        reports = [list(row) for row in client.execute_sql(query) or ()]
    return dg.AssetCheckResult(passed=not reports, metadata={"reports": reports})


@dbt_assets(
    manifest=dbt_project.manifest_path,
    project=dbt_project,
    dagster_dbt_translator=TableKeys(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)),
    pool=POOL,
)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    arguments = ["build", "--vars", json.dumps({"timezone": TIMEZONE})]
    yield from dbt.cli(arguments, context=context, target_path=dbt_project.target_path / "run").stream()


nightly = dg.define_asset_job("nightly", selection=dg.AssetSelection.all())
every_night = dg.ScheduleDefinition(job=nightly, cron_schedule="17 3 * * *", execution_timezone="Europe/London")

defs = dg.Definitions(
    assets=[load, models],
    asset_checks=[complete],
    jobs=[nightly],
    schedules=[every_night],
    resources={"dlt": DagsterDltResource(), "dbt": DbtCliResource(dbt_project)},
)
