"""The warehouse as a Dagster project: `make dagster` starts it, docs/scheduling.md shows it.

    reports (partitions: clicks, delivery, ...) -> dbt models -> marts, each with its tests as checks

`reports` is the product's own `Load`: verified walks, ledger, shrink guard. dagster-dlt is not used: its
@dlt_assets hands a source to dlt and lets it run, but here dlt is only given what `Load` has verified, and
that is not known before the walk. A report is a partition, so that one can be loaded, watched and repeated
alone; several in one run share one list of campaigns and one pool of connections.

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
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from passona.configuration import load_retain_days, load_settings, load_timezone
from passona.database import open_database, warehouse_path
from passona.errors import Exit
from passona.load import Load, Outcome, Wish
from passona.reports import REPORTS
from passona.status import USUAL_AGE, status
from passona.transform import project_folder

POOL = "warehouse"
WAIT = 600.0  # seconds for whoever holds the file, such as somebody's query
KEY = dg.AssetKey(["passona", "reports"])
BY_REPORT = dg.StaticPartitionsDefinition(list(REPORTS))
# Tags of one run for all partitions.
ALL_REPORTS = {
    "dagster/asset_partition_range_start": next(iter(REPORTS)),
    "dagster/asset_partition_range_end": next(reversed(REPORTS)),
}
DBT = DbtProject(project_folder(), profiles_dir=project_folder(), target_path=Path(os.environ["DAGSTER_HOME"]) / "dbt")
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
    kinds={"dlt", "duckdb"},
    description="Passona's reports as they are in dataset `passona`; only what is due is asked for.",
)
def reports(context: dg.AssetExecutionContext, config: LoadConfig) -> dg.MaterializeResult:
    wish = Wish(
        reports=tuple(REPORTS[name] for name in context.partition_keys),
        refresh=config.refresh,
        accept_shrink=config.accept_shrink,
    )
    with closing(open_database(warehouse_path(), WAIT, context.log.info)) as database:
        outcome = Load(load_settings(), database, wish, _Progress(context.log)).run()
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


class _Translator(DagsterDbtTranslator):
    """Every table that the models read comes from `reports`."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return KEY if dbt_resource_props["resource_type"] == "source" else super().get_asset_key(dbt_resource_props)


class DbtConfig(dg.Config):
    """`full_refresh`: build all campaigns anew; after an update of this project."""

    full_refresh: bool = False


@dbt_assets(
    manifest=DBT.manifest_path,
    project=DBT,
    dagster_dbt_translator=_Translator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)),
    pool=POOL,
)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource, config: DbtConfig) -> Iterator[Any]:
    os.environ["PASSONA_WAREHOUSE"] = str(warehouse_path())
    variables = json.dumps({"timezone": load_timezone()})
    arguments = ["build", "--vars", variables, *(["--full-refresh"] if config.full_refresh else [])]
    # No log of dbt's own, which may quote rows; and nothing is written into the project, which the wheel brings.
    arguments += ["--log-level-file", "none"]
    yield from dbt.cli(arguments, context=context, target_path=DBT.target_path / "run").stream()


def stale_reports() -> list[str]:
    """Reports of which some campaign is overdue, as `passona status` says it."""
    found = status(warehouse_path(), USUAL_AGE, WAIT, print, load_retain_days())
    return [name for name, report in found.reports.items() if report.stale]


@dg.asset_check(
    asset=KEY, description=f"Whatever is not settled was verified in the last {USUAL_AGE // timedelta(hours=1)} hours"
)
def fresh() -> dg.AssetCheckResult:
    stale = stale_reports()
    return dg.AssetCheckResult(passed=not stale, metadata={"stale": stale})


@dg.sensor(
    target=dg.AssetSelection.assets(KEY), minimum_interval_seconds=3600, default_status=dg.DefaultSensorStatus.RUNNING
)
def freshness() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Asks for a report whose nights failed, once a day. The schedule brings all others."""
    if not warehouse_path().exists():
        yield dg.SkipReason("nothing was ever loaded")
        return
    for report in stale_reports():
        yield dg.RunRequest(run_key=f"{report} {datetime.now(UTC):%Y-%m-%d}", partition_key=report)


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
    assets=[reports, models],
    asset_checks=[fresh],
    jobs=[nightly],
    schedules=[every_night],
    sensors=[freshness],
    resources={"dbt": DbtCliResource(DBT)},
    executor=dg.in_process_executor,  # one at a time in any case
)
