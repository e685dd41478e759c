"""The warehouse as a Dagster project: `make dagster` starts it, docs/scheduling.md shows it.

    reports (partitions: clicks, delivery, ...) -> tables (dlt's resources) -> dbt models, their tests as checks

`reports` is the product's own `Load`: verified walks, ledger, shrink guard. A report is a partition, so that
one can be loaded, watched and repeated alone; several in one run share one list of campaigns and one pool of
connections. `tables` are dlt's resources, by dagster-dlt an asset each, so that every model hangs on the
tables that it reads. They do not let dlt run: it is only given what `Load` has verified, and `reports` has done
that. They show what it left.

DuckDB lets one process write, so whatever writes is in the pool `warehouse`, which dagster.yaml limits to 1.
Configuration is dlt's, as for the command line: SOURCES__PASSONA__..., DESTINATION__WAREHOUSE__CREDENTIALS.
(No `from __future__ import annotations` here: Dagster reads the types of `config` as they stand.)
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import dlt
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets
from dagster_dlt import DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData
from duckdb import DuckDBPyConnection

from passona.address import exists, warehouse_address
from passona.configuration import load_retain_days, load_settings, load_timezone
from passona.database import open_database, open_reader
from passona.errors import ConfigurationError, Exit
from passona.load import Load, Outcome, Wish
from passona.reports import REPORTS
from passona.retention import sweep
from passona.schema import DATASET, TABLES
from passona.source.resources import Package, passona_source
from passona.status import USUAL_AGE, status
from passona.transform import project_folder


def warehouse() -> Path:
    """The file; what is in a server would be written by dbt and dlt without its lock, and counted otherwise.

    :raises ConfigurationError: it is none.
    """
    address = warehouse_address()
    if not isinstance(address, Path):
        raise ConfigurationError(
            f"the Dagster project is for a DuckDB file, and {address} is none: let Dagster run the commands "
            "passona load and passona transform instead (docs/scale.md)"
        )
    return address


warehouse()  # whoever starts Dagster is told
POOL = "warehouse"
WAIT = 600.0  # seconds for whoever holds the file, such as somebody's query
HOME = Path(os.environ["DAGSTER_HOME"])
KEY = dg.AssetKey([DATASET, "reports"])
BY_REPORT = dg.StaticPartitionsDefinition(list(REPORTS))
# Tags of one run for all partitions.
ALL_REPORTS = {
    "dagster/asset_partition_range_start": next(iter(REPORTS)),
    "dagster/asset_partition_range_end": next(reversed(REPORTS)),
}
DBT = DbtProject(project_folder(), profiles_dir=project_folder(), target_path=HOME / "dbt")
DBT.prepare_if_dev()


class LoadConfig(dg.Config):
    """As the options of `passona load`."""

    refresh: bool = False
    accept_shrink: bool = False


@dg.asset(
    key=KEY,
    partitions_def=BY_REPORT,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("whole", asset=KEY, description="No report failed, none is held back")],
    pool=POOL,
    group_name=DATASET,
    kinds={"dlt", "duckdb"},
    description="Passona's reports as they are in dataset `passona`; only what is due is asked for.",
)
def reports(context: dg.AssetExecutionContext, config: LoadConfig) -> dg.MaterializeResult:
    wish = Wish(
        reports=tuple(REPORTS[name] for name in context.partition_keys),
        refresh=config.refresh,
        accept_shrink=config.accept_shrink,
    )
    database = open_database(warehouse(), WAIT, context.log.info)
    try:
        outcome = Load(load_settings(), database, wish, _Progress(context.log)).run()
        sweep(database, WAIT, context.log.info)
    finally:
        database.close()
    if outcome.exit_code is Exit.TOKEN:
        raise dg.Failure(outcome.errors[0], allow_retries=False)  # the same token is refused again
    whole = dg.AssetCheckResult(check_name="whole", passed=not outcome.errors, metadata={"errors": outcome.errors})
    return dg.MaterializeResult(metadata=_told(outcome), check_results=[whole])


class _Progress:
    """A watcher of loads that writes to the run's log."""

    def __init__(self, log: dg.DagsterLogManager) -> None:
        self.say = log.warning
        self._log = log

    def planned(self, pulls: Sequence[Any]) -> None:
        self._log.info(f"{len(pulls)} reports of campaigns are due")

    def page(self, report: Any, page: Any) -> None: ...

    def walked(self, pull: Any) -> None: ...

    def waiting(self, line: str) -> None: ...


def _told(outcome: Outcome) -> Mapping[str, Any]:
    lines = [
        f"| {name} | {told.loaded} | {told.unchanged} | {told.failed} | {told.held} | {told.counts.rows:,} |"
        for name, told in outcome.reports.items()
    ]
    head = "| report | loaded | unchanged | failed | held | rows |\n|---|---:|---:|---:|---:|---:|\n"
    rows = sum(told.counts.rows for told in outcome.reports.values())
    return {
        "reports": dg.MetadataValue.md(head + "\n".join(lines)),
        "rows": rows,
        "campaigns": outcome.campaigns,
        "requests": outcome.requests,
    }


class _Resources(DagsterDltTranslator):
    """dlt's resources, each called as the first of the tables that it writes."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        name = data.resource.name
        spec = super().get_asset_spec(data)
        return spec.replace_attributes(
            key=[DATASET, name], deps=[KEY], group_name=DATASET, description=TABLES[name].comment
        )


@dlt_assets(
    # Both are never run, and only tell of themselves: an empty package of all tables, and where they are.
    dlt_source=passona_source(Package(), load_timezone(), unknown=TABLES),
    dlt_pipeline=dlt.pipeline("passona", str(HOME / "dlt"), destination="duckdb", dataset_name=DATASET),
    dagster_dlt_translator=_Resources(),
    name="tables",
    pool=POOL,
)
def tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    with closing(open_reader(warehouse(), WAIT, context.log.info)) as connection:
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata=_seen(connection, key.path[-1]))


def _seen(connection: DuckDBPyConnection, resource: str) -> Mapping[str, Any]:
    """Rows of the resource's tables; columns of the first, those included that the API has added."""
    rows = {name: len(connection.table(f"{DATASET}.{name}")) for name in TABLES if _resource_of(name) == resource}
    columns = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() "
        "WHERE schema_name = ? AND table_name = ? AND NOT starts_with(column_name, '_') ORDER BY column_index",
        [DATASET, resource],
    ).fetchall()
    schema = dg.TableSchema([dg.TableColumn(*column) for column in columns])
    return {"dagster/row_count": rows.pop(resource), "dagster/column_schema": schema} | rows


def _resource_of(table: str) -> str:
    """alt_delivery__fields is written by alt_delivery."""
    return table.partition("__")[0]


class _Sources(DagsterDbtTranslator):
    """dbt's sources are tables, which may share a resource of dlt."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] != "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([DATASET, _resource_of(dbt_resource_props["name"])])


class DbtConfig(dg.Config):
    """`full_refresh`: build all campaigns anew; after an update of this project."""

    full_refresh: bool = False


@dbt_assets(
    manifest=DBT.manifest_path,
    project=DBT,
    dagster_dbt_translator=_Sources(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)),
    pool=POOL,
)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource, config: DbtConfig) -> Iterator[Any]:
    os.environ["PASSONA_WAREHOUSE"] = str(warehouse())
    variables = json.dumps({"timezone": load_timezone()})
    arguments = ["build", "--vars", variables, *(["--full-refresh"] if config.full_refresh else [])]
    # No log of dbt's own, which may quote rows; and nothing is written into the project, which the wheel brings.
    arguments += ["--log-level-file", "none"]
    yield from dbt.cli(arguments, context=context, target_path=DBT.target_path / "run").stream()


def stale_reports() -> list[str]:
    """Reports of which some campaign is overdue, as `passona status` says it."""
    found = status(warehouse(), USUAL_AGE, WAIT, print, load_retain_days())
    return [name for name, report in found.reports.items() if report.stale]


@dg.asset_check(
    asset=KEY, description=f"Whatever is not settled was verified in the last {USUAL_AGE // timedelta(hours=1)} hours"
)
def fresh() -> dg.AssetCheckResult:
    stale = stale_reports()
    return dg.AssetCheckResult(passed=not stale, metadata={"stale": stale})


@dg.sensor(target=[reports, tables], minimum_interval_seconds=3600, default_status=dg.DefaultSensorStatus.RUNNING)
def freshness() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Asks for a report whose nights failed, once a day. The schedule brings all others."""
    if not exists(warehouse()):
        yield dg.SkipReason("nothing was ever loaded")
        return
    for report in stale_reports():
        yield dg.RunRequest(
            run_key=f"{report} {datetime.now(UTC):%Y-%m-%d}",
            partition_key=report,
            asset_selection=[KEY, dg.AssetKey([DATASET, report])],
        )


nightly = dg.define_asset_job("nightly", selection=dg.AssetSelection.all())


@dg.schedule(
    job=nightly,
    cron_schedule="17 3 * * *",
    execution_timezone="Europe/London",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def every_night() -> dg.RunRequest:
    return dg.RunRequest(tags=ALL_REPORTS)


defs = dg.Definitions(
    assets=[reports, tables, models],
    asset_checks=[fresh],
    jobs=[nightly],
    schedules=[every_night],
    sensors=[freshness],
    resources={"dbt": DbtCliResource(DBT)},
    executor=dg.in_process_executor,  # one at a time in any case
)
