"""`passona_source` in a dlt user's own pipeline."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from passona.analytics.transform import transform
from passona.config.dbt_project import project_folder
from passona.errors import ConfigurationError, Held, TokenRefused, WalkFailed
from passona.reports.definitions import REPORTS
from passona_sandbox import Account, Sandbox
from passona_sandbox.edits import delete
from support.campaigns import ONE, THREE, TWO, click, message, open_campaign
from support.engines import POSTGRES, change, url_of
from support.plain import ALL, ENDED, asked, begun, killed, pipeline, small, source
from support.served import assert_as_served
from support.warehouses import Warehouse

pytestmark = pytest.mark.both


def put(account: Account, clicks: int) -> None:
    """The first campaign with another number of clicks."""
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(clicks)], "alt_delivery": [message(1)]})


def unlist(account: Account, uuid: str) -> None:
    """Takes a campaign out of the list; its reports are still served."""
    account.edit("", "campaigns", delete([row["uuid"] for row in account.campaigns()].index(uuid)))


def cause(failed: pytest.ExceptionInfo[PipelineStepFailed]) -> BaseException:
    """What a resource raised."""
    error: BaseException | None = failed.value
    while error is not None and not isinstance(error, ConfigurationError | Held | TokenRefused | WalkFailed):
        error = error.__cause__
    assert error is not None, failed.value
    return error


@pytest.fixture
def path(warehouse: Warehouse) -> Path:
    return warehouse.path


@pytest.mark.core
def test_every_table_equals_that_of_the_command_line(tmp_path: Path, path: Path) -> None:
    account = Account(seed=7, campaigns=4, rows=2_000, hostile=True)
    other = Warehouse(tmp_path / "other.duckdb")
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        other.load(box)
    mine, theirs = Warehouse(path).content(), other.content()
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []
    columns = "campaign_id, report, state, pages, row_count, api_total, digest, origin, suppressed"
    ledger = f"SELECT {columns} FROM passona.report_ledger ORDER BY 1, 2"
    assert Warehouse(path).rows(ledger) == other.rows(ledger)


@pytest.mark.core
def test_a_second_run_asks_for_what_is_due_alone_from_an_empty_folder_too(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        assert len(asked(box)) == 18
        for folder in ("dlt", "new"):
            box.forget_requests()
            pipeline(path, tmp_path / folder).run(source(box))
            assert asked(box) == sorted((uuid, report) for uuid in (ONE, TWO) for report in ALL)
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.core
def test_an_unselected_resource_has_no_table_and_no_request(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box).with_resources("clicks"))
        assert {report for _, report in asked(box)} == {"clicks"}
    tables = set(Warehouse(path).content())
    assert tables == {"clicks", "row_issues"}
    assert Warehouse(path).one("SELECT count(*) FROM passona.report_ledger") == (3,)
    assert Warehouse(path).count("clicks") == 35


@pytest.mark.parametrize("names", [(), ("clicks",)])
@pytest.mark.core(1)
def test_a_limit_cuts_whole_campaigns(tmp_path: Path, path: Path, names: tuple[str, ...]) -> None:
    account = Account(seed=3, campaigns=5, rows=200)
    with Sandbox(account) as box:
        wanted = source(box).with_resources(*names) if names else source(box)
        pipeline(path, tmp_path / "dlt").run(wanted.add_limit(2))
        ((count,),) = Warehouse(path).rows("SELECT count(DISTINCT campaign_id) FROM passona.report_ledger")
        assert count == 2
        differing = Warehouse(path).rows(
            "SELECT campaign_id, row_count, n FROM passona.report_ledger LEFT JOIN (SELECT campaign_id, count(*) AS n "
            "FROM passona.clicks GROUP BY 1) AS c USING (campaign_id) WHERE report = 'clicks' AND row_count <> coalesce(n, 0)"
        )
        assert differing == []
        if not names:
            assert Warehouse(path).count("campaigns") == 2
        pipeline(path, tmp_path / "new").run(source(box))  # the rest
    assert_as_served(Warehouse(path), account, [row["uuid"] for row in account.campaigns()])


@pytest.mark.duckdb("about DuckDB as dlt's destination")
def test_a_destination_that_would_double_rows_is_refused(tmp_path: Path) -> None:
    files = dlt.destinations.filesystem(str(tmp_path / "files"))
    run = dlt.pipeline("sms", pipelines_dir=str(tmp_path / "dlt"), destination=files, dataset_name="passona")
    with Sandbox(small()) as box, pytest.raises(PipelineStepFailed) as failed:
        run.run(source(box))
    assert box.requests == []
    assert "cannot delete a campaign's rows" in str(cause(failed))


def test_one_source_runs_twice_in_a_process(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        twice, run = source(box), pipeline(path, tmp_path / "dlt")
        run.run(twice)
        put(account, 30)
        run.run(twice)
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.parametrize("mode", ["drop_data", "drop_resources", "drop_sources"])
def test_a_refresh_loads_all_again(tmp_path: Path, path: Path, mode: Any) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        box.forget_requests()
        pipeline(path, tmp_path / "new").run(source(box), refresh=mode)
        assert len(asked(box)) == 18
        assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])
        pipeline(path, tmp_path / "third").run(source(box).with_resources("clicks"), refresh=mode)
        pipeline(path, tmp_path / "fourth").run(source(box))
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.core
def test_a_report_that_fails_is_noted_and_told_and_the_others_are_loaded(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = small()
    rules = [{"kind": "status", "code": 403, "campaign": ONE, "report": "clicks"}]
    with Sandbox(account, faults=rules) as box, caplog.at_level(logging.WARNING, "passona"):
        pipeline(path, tmp_path / "dlt").run(source(box))
        (line,) = [record.getMessage() for record in caplog.records if record.name == "passona"]
        assert ONE in line
        assert "clicks" in line
        state = "SELECT state, error IS NOT NULL FROM passona.report_ledger WHERE campaign_id = ? AND report = 'clicks'"
        assert Warehouse(path).one(state, ONE) == ("failed", True)
        assert Warehouse(path).count("clicks") == 25
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "raise").run(source(box, refresh=True, on_failed="raise"))
        assert isinstance(cause(failed), WalkFailed)
        box.faults = []
        pipeline(path, tmp_path / "new").run(source(box))
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.parametrize("left", [3, 0])
def test_a_report_that_shrinks_is_held_until_that_is_accepted(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        put(account, left)
        pipeline(path, tmp_path / "new").run(source(box))
        state = "SELECT state, row_count FROM passona.report_ledger WHERE campaign_id = ? AND report = 'clicks'"
        assert Warehouse(path).one(state, ONE) == ("held", 10)
        assert "expected about 10 rows" in caplog.text
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "raise").run(source(box, on_failed="raise"))
        assert isinstance(cause(failed), Held)
        assert Warehouse(path).one(state, ONE) == ("held", 10)
        pipeline(path, tmp_path / "third").run(source(box, accept_shrink=True))
        assert Warehouse(path).one(state, ONE) == ("open", left)
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.parametrize("on_failed", ["ledger", "raise"])
def test_a_refused_token_raises_and_nothing_is_loaded(tmp_path: Path, path: Path, on_failed: str) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box, ONE))
        before = Warehouse(path).content()
        box.faults = [{"kind": "status", "code": 401, "report": "alt_delivery", "campaign": TWO}]
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "new").run(source(box, on_failed=on_failed))
        assert isinstance(cause(failed), TokenRefused)
        assert Warehouse(path).content() == before
        box.faults = []
        pipeline(path, tmp_path / "third").run(source(box))
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


# Where a run is killed: what changes dlt so that it happens.
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
SQL = """
import dlt.destinations.impl.{module} as module
old, done = module.{name}.execute_many, []
def execute_many(self, statements, *args, **kwargs):
    result = old(self, statements, *args, **kwargs)
    if any("DELETE FROM" in text and "report_ledger" not in text for text in statements):
        done.append(1)
        if len(done) == {after}:
            """ + KILL + """
    return result
module.{name}.execute_many = execute_many
"""  # fmt: skip
CLIENT = ("postgres.sql_client", "Psycopg2SqlClient") if POSTGRES else ("duckdb.sql_client", "DuckDbSqlClient")
KILLS = {
    "extract": "from passona.source import _extraction as extraction\n"
    "extraction.Extraction.end = lambda *_, **__: " + KILL,
    "normalize": "from dlt.normalize import Normalize\nNormalize.run = lambda *_, **__: " + KILL,
    **{f"load-{after}": SQL.format(module=CLIENT[0], name=CLIENT[1], after=after) for after in (1, 2, 4)},
}  # fmt: skip


@pytest.mark.parametrize("where", KILLS)
@pytest.mark.core(1)
def test_a_killed_run_is_repaired_from_an_empty_folder(tmp_path: Path, path: Path, where: str) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        account.put(open_campaign(ONE), {"clicks": [click(n + 50) for n in range(10)], "alt_delivery": [message(2)]})
        account.put(open_campaign(TWO), {"clicks": [click(n + 50) for n in range(20)], "alt_delivery": [message(3)]})
        killed(path, tmp_path / "killed", box, KILLS[where])
        shutil.rmtree(tmp_path / "killed")
        pipeline(path, tmp_path / "new").run(source(box))
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


def test_what_a_command_line_forgot_stays_out(tmp_path: Path, warehouse: Warehouse) -> None:
    from support.forked import run_passona
    from support.warehouses import environment_of

    account = small()
    with Sandbox(account) as box:
        environment = environment_of(box, tmp_path)
        assert run_passona(["load"], tmp_path, environment).returncode == 0
        assert run_passona(["forget", "+44 7123 400003"], tmp_path, environment).returncode == 0
        put(account, 12)
        pipeline(warehouse.path, tmp_path / "dlt").run(source(box, forgotten=["+44 7123 400004"]))
        gone = "SELECT count(*) FROM passona.clicks WHERE phone_number IN ('447123400003') AND campaign_id = ?"
        assert warehouse.one(gone, ONE) == (0,)
        state = "SELECT row_count, suppressed FROM passona.report_ledger WHERE campaign_id = ? AND report = 'clicks'"
        assert warehouse.one(state, ONE) == (10, 2)
        assert run_passona(["load"], tmp_path, environment).returncode == 0
        assert run_passona(["verify"], tmp_path, environment).returncode == 0


def test_a_dataset_of_another_mode_is_refused_before_the_first_request(tmp_path: Path, path: Path) -> None:
    key = "k" * 32
    with Sandbox(small()) as box:
        Warehouse(path).load(box, privacy="pseudonymous", privacy_key=key)
        box.forget_requests()
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "dlt").run(source(box))
        assert box.requests == []
        assert "privacy" in str(cause(failed))
        pipeline(path, tmp_path / "new").run(source(box, privacy="pseudonymous", privacy_key=key, refresh=True))
    assert Warehouse(path).one(
        "SELECT count(*) FROM passona.clicks WHERE phone_number NOT LIKE 'p\\_%' ESCAPE '\\'"
    ) == (0,)


def test_without_a_pipeline_everything_is_due() -> None:
    with Sandbox(small()) as box:
        pieces = list(source(box).with_resources("clicks"))
    assert sum(len(piece) for piece in pieces if "phone_number" in piece.column_names) == 35


def test_the_steps_of_dlt_work_as_with_any_source(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        run = dlt.pipeline(
            "sms", pipelines_dir=str(tmp_path / "dlt"), destination=pipeline(path, tmp_path / "x").destination,
            dataset_name="passona", progress=dlt.progress.log(dump_system_stats=False),
        )  # fmt: skip
        run.run(source(box).parallelize())
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.parametrize("name", ["TIMEZONE", "API_TOKEN", "SOURCES__SETTLE_DAYS", "REFRESH", "PRIVACY"])
def test_an_argument_from_elsewhere_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from passona import passona_source

    monkeypatch.setenv(name, "1")
    if name != "API_TOKEN":
        monkeypatch.setenv("SOURCES__PASSONA__API_TOKEN", "sandbox")
    with pytest.raises(ConfigurationError, match=name):
        passona_source()
    monkeypatch.delenv(name)
    monkeypatch.setenv("SOURCES__PASSONA__API_TOKEN", "sandbox")
    assert {"campaigns", *REPORTS} <= passona_source().resources.keys()


def test_a_command_line_goes_on_where_the_source_stopped(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        put(account, 12)
        outcome = Warehouse(path).load(box, wait=30)
        assert outcome.errors == []
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.core
def test_no_request_follows_a_refused_token(tmp_path: Path, path: Path) -> None:
    with Sandbox(small()) as box:
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "dlt").run(source(box, api_token="wrong"))  # no secret
        assert isinstance(cause(failed), TokenRefused)
        assert len(box.requests) == 1


@pytest.mark.postgres("a DuckDB file has one writer by itself")
def test_two_runs_at_once_come_one_after_another(tmp_path: Path, path: Path) -> None:
    account = Account(seed=7, campaigns=3, rows=3_000)
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt")  # makes the database
        runs = [begun(path, tmp_path / f"dlt{number}", box) for number in range(3)]
        assert [run.wait(300) for run in runs] == [0, 0, 0]
    assert_as_served(Warehouse(path), account, [row["uuid"] for row in account.campaigns()])
    assert Warehouse(path).one("SELECT count(*), count(DISTINCT row_id) FROM passona.delivery")[0] > 0


@pytest.mark.duckdb("about DuckDB as dlt's destination")
@pytest.mark.parametrize("naming", ["support.sql_upper", "sql_ci_v1", "direct"])
def test_names_are_those_of_the_destinations_convention(tmp_path: Path, path: Path, naming: str) -> None:
    account = small()
    destination: Any = dlt.destinations.duckdb(str(path), naming_convention=naming, supports_transactions=True)
    with Sandbox(account) as box:
        for folder in ("dlt", "new"):
            box.forget_requests()
            run = dlt.pipeline(
                "sms", pipelines_dir=str(tmp_path / folder), destination=destination, dataset_name="passona"
            )
            run.run(source(box))
        assert asked(box) == sorted((uuid, report) for uuid in (ONE, TWO) for report in ALL)
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


def test_expired_campaigns_are_not_asked_for(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        Warehouse(path).load(box)
        Warehouse(path).load(box, retain_days=90)
        box.forget_requests()
        pipeline(path, tmp_path / "dlt").run(source(box, refresh=True))
        assert {uuid for uuid, _ in asked(box)} == {ONE, TWO}
    assert Warehouse(path).one("SELECT count(phone_number) FROM passona.clicks WHERE campaign_id = ?", THREE) == (0,)


def test_a_dataset_of_a_later_version_is_refused_before_the_first_request(tmp_path: Path, path: Path) -> None:
    with Sandbox(small()) as box:
        Warehouse(path).load(box)
        change(path, "INSERT INTO passona._upgrades VALUES (99, 'new', '7.2.0', now())")
        box.forget_requests()
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "dlt").run(source(box))
        assert box.requests == []
        assert "7.2.0" in str(cause(failed))


def test_a_list_that_loses_most_campaigns_is_held(tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    account = Account.empty()
    uuids = [f"{n}{ONE[1:]}" for n in range(6)]
    for uuid in uuids:
        account.put(open_campaign(uuid), {"clicks": [click(1)]})
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        for uuid in uuids[1:]:
            account.remove(uuid)
        pipeline(path, tmp_path / "new").run(source(box))
        assert "list of campaigns" in caplog.text
        listed = "SELECT count(*) FROM passona.campaigns WHERE listed"
        assert Warehouse(path).one(listed) == (6,)
        pipeline(path, tmp_path / "third").run(source(box, accept_shrink=True))
        assert Warehouse(path).one(listed) == (1,)
    assert Warehouse(path).count("clicks") == 6


def test_a_uuid_that_nobody_knows_leaves_no_trace(tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(small()) as box:
        pipeline(path, tmp_path / "dlt").run(source(box, ONE, "99999999-9999-4999-8999-999999999999"))
    assert caplog.text.count("no such campaign") == 1
    assert Warehouse(path).rows("SELECT DISTINCT campaign_id FROM passona.report_ledger") == [(ONE,)]


def test_a_new_key_has_the_same_column_in_both(tmp_path: Path, path: Path) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE), {"clicks": [click(1, foo="a", FOO="b")]})
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        account.put(open_campaign(TWO), {"clicks": [click(1, FOO="c")]})
        pipeline(path, tmp_path / "new").run(source(box))
        Warehouse(path).load(box, refresh=True, wait=30)
    (other,) = [
        column for (column,) in Warehouse(path).rows("SELECT column_name FROM passona._keys") if column != "foo"
    ]
    found = f"SELECT campaign_id, foo, {other} FROM passona.clicks ORDER BY 1"
    assert Warehouse(path).rows(found) == [(ONE, "a", "b"), (TWO, None, "c")]


def test_a_mode_that_the_source_noted_is_kept(tmp_path: Path, path: Path) -> None:
    with Sandbox(small()) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        box.forget_requests()
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "new").run(source(box, privacy="pseudonymous", privacy_key="k" * 32))
        assert box.requests == []
        assert "privacy" in str(cause(failed))


def test_one_selected_report_settles_as_all_do(tmp_path: Path, path: Path) -> None:
    with Sandbox(small()) as box:
        for folder in ("dlt", "new"):
            box.forget_requests()
            pipeline(path, tmp_path / folder).run(source(box).with_resources("clicks"))
        assert {uuid for uuid, _ in asked(box)} == {ONE, TWO}


def test_what_is_half_written_is_repaired_after_its_campaign_left_the_list(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        change(path, "DELETE FROM passona.clicks WHERE campaign_id = '" + ONE + "' AND phone_number < '447123400005'")
        listed, account.campaigns = (
            account.campaigns,
            lambda teams=(): [row for row in listed(teams) if row["uuid"] != ONE],
        )
        pipeline(path, tmp_path / "new").run(source(box))
    assert Warehouse(path).one("SELECT count(*) FROM passona.clicks WHERE campaign_id = ?", ONE) == (10,)


def test_a_campaign_that_no_list_has_gets_a_row(tmp_path: Path, path: Path) -> None:
    account = small()
    unlist(account, ONE)
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box, ONE))
    assert_as_served(Warehouse(path), account, [ONE])
    assert Warehouse(path).rows("SELECT campaign_id, listed FROM passona.campaigns ORDER BY 1") == [
        (ONE, False),
        (TWO, True),
        (THREE, True),
    ]


def test_no_thread_and_no_spool_is_left(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passona.source.spool.MEMORY_BYTES", 1)  # all on disk
    account = small()
    left = tmp_path / "dlt/sms/passona-spools-of-a-killed-run"
    left.mkdir(parents=True)
    before = {thread.name for thread in threading.enumerate()}
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        box.faults = [{"kind": "status", "code": 401, "report": "clicks", "campaign": TWO}]
        with pytest.raises(PipelineStepFailed):
            pipeline(path, tmp_path / "dlt").run(source(box))
    assert list((tmp_path / "dlt/sms").glob("passona-spools-*")) == []
    ours = ("fetch-", "request deadlines", "connect")
    assert {
        name for name in {thread.name for thread in threading.enumerate()} - before if name.startswith(ours)
    } == set()
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


def test_resources_run_without_their_source(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        reports = source(box)
        pipeline(path, tmp_path / "dlt").run([reports.clicks, reports.alt_delivery])
        pipeline(path, tmp_path / "new").run(source(box).clicks)
        pipeline(path, tmp_path / "third").run(source(box))
    assert_as_served(Warehouse(path), account, [ONE, TWO, THREE])


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE passona.alt_delivery__fields",
        "DROP TABLE passona.row_issues",
        "INSERT INTO passona.alt_delivery__fields SELECT * FROM passona.alt_delivery__fields",
        "INSERT INTO passona.report_ledger SELECT * FROM passona.report_ledger",
    ],
)
def test_a_table_that_is_missing_or_doubled_is_repaired(tmp_path: Path, path: Path, statement: str) -> None:
    account = Account.empty()
    account.put({"uuid": THREE, **ENDED}, {"clicks": [click(1)], "alt_delivery": [message(1)]})
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        before = Warehouse(path).content()
        change(path, statement)
        pipeline(path, tmp_path / "new").run(source(box))
    assert Warehouse(path).content() == before
    assert Warehouse(path).one("SELECT count(*) FROM passona.report_ledger") == (6,)


def test_a_run_that_fails_elsewhere_leaves_the_ledger_as_it_was(tmp_path: Path, path: Path) -> None:
    account = small()
    with Sandbox(account) as box:
        pipeline(path, tmp_path / "dlt").run(source(box).with_resources("clicks"))
        put(account, 12)
        box.forget_requests()
        reports = source(box).with_resources("clicks")
        reports.resources["broken"] = dlt.resource(lambda: _raise_after(box), name="broken")
        with pytest.raises(PipelineStepFailed):
            pipeline(path, tmp_path / "new").run(reports)
    assert Warehouse(path).one("SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL") == (0,)


def _raise_after(box: Sandbox) -> Iterator[Any]:
    while len(asked(box)) < 2:
        yield None
    raise RuntimeError("broken")


@pytest.mark.core
def test_two_sources_in_one_run_are_refused(tmp_path: Path, path: Path) -> None:
    with Sandbox(small()) as box:
        with pytest.raises(PipelineStepFailed) as failed:
            pipeline(path, tmp_path / "dlt").run([source(box, ONE), source(box, TWO)])
        assert "two passona sources" in str(cause(failed))


@pytest.mark.parametrize("wrong", [{"refresh": "no"}, {"privacy_fields": "Town"}, {"on_failed": "no"}])
def test_an_argument_of_another_type_is_refused(wrong: dict[str, Any]) -> None:
    from passona import passona_source

    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        passona_source(api_token="sandbox", **wrong)  # no secret


def test_a_refresh_of_a_part_leaves_no_trust_in_what_it_emptied(tmp_path: Path, path: Path) -> None:
    with Sandbox(small()) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        pipeline(path, tmp_path / "new").run(source(box, TWO).with_resources("clicks"), refresh="drop_data")
    vouched = "SELECT campaign_id FROM passona.report_ledger WHERE report = 'clicks' AND verified_at IS NOT NULL"
    assert Warehouse(path).rows(vouched) == [(TWO,)]


def test_dbt_and_the_command_line_work_on_what_the_source_loaded(tmp_path: Path, path: Path) -> None:
    with Sandbox(Account(seed=7, campaigns=3, rows=200)) as box:
        pipeline(path, tmp_path / "dlt").run(source(box))
        for _ in range(2):
            build(path, tmp_path)
        messages = Warehouse(path).rows("SELECT * FROM analytics.messages ORDER BY ALL")
        assert messages
        assert Warehouse(path).rows("SELECT * FROM analytics_staging.stg_passona__runs") == []
        assert Warehouse(path).load(box, wait=30).errors == []
    assert transform(Warehouse(path).address, {"default": "Europe/London"}, 0, print).failures == []
    assert Warehouse(path).rows("SELECT * FROM analytics.messages ORDER BY ALL") == messages
    assert Warehouse(path).rows("SELECT verb FROM analytics_staging.stg_passona__runs ORDER BY started_at") == [
        ("load",), ("transform",)
    ]  # fmt: skip


def build(path: Path, folder: Path) -> None:
    """Build the dbt project as its profile tells, without the command line."""
    environment = {"PASSONA_WAREHOUSE": str(path)}
    if POSTGRES is not None:
        where = urlsplit(url_of(path))
        environment = {"PGHOST": where.hostname, "PGPORT": str(where.port), "PGUSER": where.username,
                       "PGPASSWORD": where.password, "PGDATABASE": where.path[1:]}  # fmt: skip
    command = [
        *(sys.executable, "-m", "dbt.cli.main", "build", "--target", "warehouse" if POSTGRES is None else "postgres"),
        *("--project-dir", str(project_folder()), "--profiles-dir", str(project_folder())),
        *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
    ]
    ended = subprocess.run(
        command, env=os.environ | environment, check=False, capture_output=True, text=True, timeout=900
    )
    assert ended.returncode == 0, ended.stdout
