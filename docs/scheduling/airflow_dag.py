"""Load all SMS reports each night: an Airflow DAG, described in docs/orchestration.md."""

import os
import tempfile
from datetime import timedelta

import pendulum
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException


@dag(
    schedule="17 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/London"),
    catchup=False,  # the ledger in the dataset says what is due, not the date of the run
    max_active_runs=1,  # one run at a time per dataset
)
def passona() -> None:
    @task(pool="passona", retries=2, retry_delay=timedelta(minutes=20))  # airflow pools set passona 1 "one writer"
    def load() -> None:
        import dlt

        from passona import passona_source

        with tempfile.TemporaryDirectory() as folder:  # no state is lost with it
            warehouse = dlt.destinations.duckdb(os.environ["PASSONA_WAREHOUSE"], supports_transactions=True)
            pipeline = dlt.pipeline("passona", pipelines_dir=folder, destination=warehouse, dataset_name="passona")
            print(pipeline.run(passona_source()))
            with pipeline.sql_client() as client:
                query = "SELECT campaign_id, report, error FROM report_ledger WHERE state IN ('failed', 'held')"
                failed = client.execute_sql(query)
        if failed:
            raise AirflowFailException(f"all other reports are loaded; without these: {failed}")

    load()


passona()
