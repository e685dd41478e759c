"""`passona import-csv`: the same rows as by the API, or none at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import os
import random
import re
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passona.config.settings import Settings
from passona.csv_files.locations import fetch_files
from passona.csv_files.reader import CsvFile
from passona.errors import ConfigurationError, FileRefused, Interrupted
from passona.reports.definitions import RECIPIENT, REPORTS, Report
from passona.source.spool import Spool
from passona.warehouse.csv_import import CsvImport, CsvRequest
from passona.warehouse.database import open_database
from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, click, message, open_campaign
from support.csv_files import BAD_FILES, GOOD, HEADER, KEYS, PHONE, TEXT, BadFile, row
from support.csv_imports import exported_csv, import_csv
from support.forked import KILLS, kill_passona
from support.ledgers import ledger_columns
from support.warehouses import Lines, Warehouse, environment_of

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LATER = datetime(2098, 1, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipient.csv"
    path.write_bytes(GOOD)
    return path


@pytest.mark.core
def test_rows_by_mail_are_the_rows_by_the_api_for_every_report(warehouse: Warehouse, tmp_path: Path) -> None:
    account = Account(seed=7, campaigns=1, rows=1_500, hostile=True, special=False)
    (uuid,) = [row["uuid"] for row in account.campaigns()]
    other = Warehouse(tmp_path / "other.duckdb")
    with Sandbox(account) as box:
        warehouse.load(box)
    for report in REPORTS:
        (tmp_path / f"{report}.csv").write_bytes(exported_csv(account, report, uuid))
    outcome, _ = import_csv(other, tmp_path, campaign=uuid)
    assert outcome.errors == []
    tables, mailed = warehouse.content(), other.content()
    for name in tables.keys() - {"campaigns", "campaigns__contact_groups", "row_issues"}:
        assert mailed[name] == tables[name], name
    issues = [issue for issue in tables["row_issues"] if issue[1] != "campaigns"]
    assert mailed["row_issues"] == issues
    assert len(issues) > 20
    columns = ("report", "row_count", "digest")
    assert ledger_columns(other, *columns) == ledger_columns(warehouse, *columns)
    assert sum(rows for _, rows, _ in ledger_columns(other, *columns)) == 1_500


def test_after_imports_that_were_killed_one_more_makes_everything_right(tmp_path: Path, passona: Run) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    account = Account.empty()
    dice = random.Random("imports")
    file = tmp_path / "alt_delivery.csv"
    usual = 0.0
    for version in range(1, KILLS // 2 + 1):
        account.put(
            open_campaign(ONE), {"alt_delivery": [message(n, Status=f"v{version}") for n in range(2_000 + version)]}
        )
        file.write_bytes(exported_csv(account, "alt_delivery"))
        command = ("import-csv", str(file), "--campaign", ONE, "--wait", "0", "--json")
        if usual:
            kill_passona(command, tmp_path, environment_of(None, tmp_path), dice.uniform(0, usual))
        begun = time.monotonic()
        ended = passona(*command)
        usual = time.monotonic() - begun
        assert ended.returncode == 0, ended.stderr
        assert warehouse.rows(
            "SELECT status, count(*), count(DISTINCT row_id) FROM passona.alt_delivery GROUP BY status"
        ) == [(f"v{version}", 2_000 + version, 2_000 + version)]
        assert warehouse.one("SELECT count(*) FROM passona.alt_delivery__fields") == (2 * (2_000 + version),)
        assert ledger_columns(warehouse, "state", "row_count") == [("open", 2_000 + version)]
        assert {path.name for path in tmp_path.iterdir()} - {"warehouse.duckdb"} == {"alt_delivery.csv"}


def test_the_whole_way_from_post_to_tables(passona: Run, tmp_path: Path) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE), {"alt_delivery": [message(1), message(2)], "clicks": [click(1), click(1)]})
    with Sandbox(account, Switches(mail_folder=str(tmp_path / "mails"))) as box:
        reports = ("--report", "alt_delivery", "--report", "clicks")
        assert passona("generate", ONE, *reports, box=box).returncode == 0
        links = [re.search(r"http\S+", mail.read_text())[0] for mail in sorted((tmp_path / "mails").iterdir())]
        box.forget_requests()
        ended = passona("import-csv", *links, "--campaign", ONE, "--json", box=box)
        # The token goes to the API alone.
        assert [(record.status, record.authorized) for record in box.requests] == [(200, False)] * 2
        assert Warehouse(tmp_path / "warehouse.duckdb").load(box, ONE).exit_code == 0
    document = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {name: found["rows"] for name, found in document["reports"].items()} == {"clicks": 2, "alt_delivery": 2}
    assert document["reports"]["alt_delivery"]["field_rows"] == 4
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    # The load after it found the same content.
    assert warehouse.rows("SELECT verb, outcome, row_count FROM passona.runs WHERE verb <> 'generate' ORDER BY 1") == [
        ("import-csv", "ok", 4),
        ("load", "ok", 0),
    ]
    assert not list(tmp_path.glob("warehouse.duckdb.*"))


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
@pytest.mark.core
def test_a_file_that_is_no_whole_report_is_refused_in_one_line(bad: BadFile, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(bad.content)
    file = CsvFile(path, "bad.csv", LATER)
    with pytest.raises(FileRefused) as refused:
        file.read(file.form(), lambda: Spool(RECIPIENT, ONE, tmp_path / "spool"))
    said = str(refused.value)
    assert bad.said in said
    assert said.startswith("bad.csv: ")
    assert said.endswith("nothing of it is loaded, the old rows stay")
    assert PHONE not in said
    assert TEXT not in said
    assert list(tmp_path.iterdir()) == [path]


def test_a_refused_file_leaves_the_old_rows_and_the_others_are_loaded(
    warehouse: Warehouse, file: Path, tmp_path: Path, account: Account
) -> None:
    import_csv(warehouse, file)
    before, ledger = warehouse.content(), ledger_columns(warehouse, "*")
    (bad,) = [each for each in BAD_FILES if each.name == "a quote closed lines later"]
    file.write_bytes(bad.content)
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    (tmp_path / "clicks.csv").write_bytes(exported_csv(account, "clicks"))
    outcome, _ = import_csv(warehouse, tmp_path)
    assert (int(outcome.exit_code), len(outcome.errors)) == (4, 1)
    after = warehouse.content()
    assert len(after.pop("clicks")) == 1
    assert after == {name: rows for name, rows in before.items() if name != "clicks"}
    assert ledger_columns(warehouse, "*")[1:] == ledger


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (GOOD, ("utf-8", ",")),
        (b"\xef\xbb\xbf" + GOOD, ("utf-8", ",")),
        (GOOD.replace(b"\r\n", b"\n"), ("utf-8", ",")),
        (GOOD.replace(b"\r\n", b"\r"), ("utf-8", ",")),
        (GOOD.replace(b"\r\n", b"\n", 3), ("utf-8", ",")),
        (b"\r\n" + GOOD.replace(b"\r\n", b"\r\n\r\n"), ("utf-8", ",")),
        (gzip.compress(GOOD), ("utf-8", ",")),
        (re.sub(rb"[^,\r\n]+", rb'"\g<0>"', GOOD), ("utf-8", ",")),
        (GOOD.replace(b",", b";"), ("utf-8", ";")),
        (GOOD.replace(b",", b"\t"), ("utf-8", "\t")),
        (GOOD.decode().encode("utf-16"), ("utf-16-le", ",")),
        (GOOD.decode().encode("utf-16-be"), ("utf-16-be", ",")),
        (gzip.compress(GOOD.decode().encode("utf-16")), ("utf-16-le", ",")),
    ],
    ids=["plain", "mark", "lf", "cr", "mixed", "blank", "gzip", "quoted", "semicolon", "tab", "utf-16", "no mark", "both"],
)  # fmt: skip
def test_whatever_form_a_file_has_its_rows_are_the_same(tmp_path: Path, content: bytes, form: tuple[str, str]) -> None:
    path = tmp_path / "any.csv"

    def digest(content: bytes) -> str:
        path.write_bytes(content)
        file = CsvFile(path, "any.csv", LATER)
        read_as = file.form()
        spool = file.read(read_as, lambda: Spool(RECIPIENT, ONE, tmp_path / "spool")).spool
        assert content == GOOD or (read_as.encoding, read_as.delimiter) == form
        return spool.fingerprint.digest()

    assert digest(content) == digest(GOOD)


def test_a_named_encoding_is_read_and_the_ledger_records_the_file(warehouse: Warehouse, file: Path) -> None:
    file.write_bytes(content := GOOD + row(9, group="Café “€”").decode().encode("cp1252"))
    _, (refused,) = import_csv(warehouse, file)
    assert "bytes that are not UTF-8 (name its encoding with --encoding; Excel on Windows writes cp1252)" in refused
    file.write_bytes(GOOD + row(9).replace(b"Group", b"\x81"))  # no letter of cp1252
    _, (refused,) = import_csv(warehouse, file, encoding="cp1252")
    assert "no text in this encoding; name another with --encoding" in refused
    file.write_bytes(content)
    os.utime(file, (1_600_000_000, 1_600_000_000))
    _, said = import_csv(warehouse, file, encoding="cp1252")
    assert said == ["recipient.csv: read as cp1252, delimited by comma"]
    assert warehouse.rows("SELECT group_name FROM passona.recipient WHERE group_name <> 'Group'") == [("Café “€”",)]
    columns = ("campaign_id", "report", "state", "origin", "pages", "api_total", "row_count", "verified_at", "error")
    at = datetime.fromtimestamp(1_600_000_000, UTC)
    assert ledger_columns(warehouse, *columns) == [(ONE, "recipient", "open", "csv", None, None, 5, at, None)]
    assert warehouse.rows("SELECT campaign_id, listed FROM passona.campaigns") == [(ONE, False)]


def test_columns_may_come_in_any_order(warehouse: Warehouse, file: Path, account: Account, box: Sandbox) -> None:
    known = {"Phone_Number": "447", "Group_Name": "A", "Field_Names": "n", "Field_Values": "v"}
    account.put(open_campaign(ONE), {"recipient": [{**known, "Extra": text} for text in ("x", None)]})
    warehouse.load(box, ONE, reports=["recipient"])
    (digest,) = warehouse.one("SELECT digest FROM passona.report_ledger")
    table = warehouse.table("recipient")
    file.write_text("Extra,Field_Values,Field_Names,Group_Name,Phone_Number\n,v,n,A,447\nx,v,n,A,447\n")
    outcome, said = import_csv(warehouse, file, made_at=datetime.now(UTC))
    assert said == [
        "the header has changed: recipient: new key 'Extra'",
        "the header has changed: recipient: missing key 'Group_Description'",
    ]
    assert ledger_columns(warehouse, "digest", "origin") == [(digest, "csv")]
    assert outcome.reports["recipient"].unchanged == 1
    assert warehouse.table("recipient") == table


def test_only_a_time_that_somebody_vouches_for_settles_a_report(
    warehouse: Warehouse, account: Account, tmp_path: Path
) -> None:
    account.put({"uuid": ONE}, {"sent": [{"SentOn": "2024-01-10 10:00:00"}]})
    file = tmp_path / "sent.csv"
    file.write_bytes(exported_csv(account, "sent"))
    _, said = import_csv(warehouse, file)
    assert "sent stays open" in said[0]
    assert ledger_columns(warehouse, "state") == [("open",)]
    import_csv(warehouse, file, made_at=datetime.now(UTC))
    assert ledger_columns(warehouse, "state") == [("settled",)]
    # The same content again, from a copy that is older: nothing to be done.
    assert import_csv(warehouse, file)[1] == []
    assert ledger_columns(warehouse, "state") == [("settled",)]


def test_an_older_or_shorter_file_replaces_nothing(
    warehouse: Warehouse, file: Path, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"recipient": [{"Phone_Number": str(number)} for number in range(5)]})
    warehouse.load(box, ONE, reports=["recipient"])
    os.utime(file, (1_600_000_000, 1_600_000_000))
    outcome, (said,) = import_csv(warehouse, file)
    assert (int(outcome.exit_code), warehouse.count("recipient")) == (4, 5)
    assert "was made 2020-09-13 12:26:40 UTC" in said
    assert ledger_columns(warehouse, "state", "origin") == [("open", "api")]
    outcome, (said,) = import_csv(warehouse, file, made_at=LATER)
    assert (int(outcome.exit_code), warehouse.count("recipient")) == (5, 5)
    assert "expected 5 rows or more, as the API had, got 4" in said
    assert ledger_columns(warehouse, "state", "row_count") == [("held", 5)]
    assert int(import_csv(warehouse, file, made_at=LATER, accept_shrink=True)[0].exit_code) == 0
    assert warehouse.count("recipient") == 4


def test_what_the_api_told_once_measures_every_later_file(
    warehouse: Warehouse, file: Path, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    rows = [{key: f"{key} {number}" for key in KEYS} for number in range(4)]
    account.put(open_campaign(ONE), {"recipient": rows})
    warehouse.load(box, ONE, reports=["recipient"])
    whole = exported_csv(account, "recipient")
    file.write_bytes(whole)
    outcome, _ = import_csv(warehouse, file, made_at=LATER)
    assert (outcome.reports["recipient"].unchanged, ledger_columns(warehouse, "origin", "api_total")) == (
        1,
        [("csv", 4)],
    )
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]))
    outcome, said = import_csv(warehouse, file, made_at=LATER)
    assert (int(outcome.exit_code), warehouse.count("recipient")) == (5, 4)
    # A line that is taken aside was there.
    file.write_bytes(b"".join([*lines[:-1], b"1,2\r\n"]))
    outcome, said = import_csv(warehouse, file, made_at=LATER, rejects=tmp_path / "rejects")
    assert (int(outcome.exit_code), warehouse.count("recipient")) == (0, 3), said
    assert ledger_columns(warehouse, "state", "api_total") == [("open", None)]


def test_an_import_that_is_interrupted_keeps_what_it_has_read_whole(
    warehouse: Warehouse, tmp_path: Path, account: Account
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    for report in ("clicks", "alt_delivery"):
        (tmp_path / f"{report}.csv").write_bytes(exported_csv(account, report))

    class Stopped(Lines):
        def rows(self, report: Report, count: int) -> None:
            if report.name == "alt_delivery":
                raise Interrupted(15)

    database = open_database(warehouse.address, 0, print)
    with closing(database), pytest.raises(Interrupted):
        CsvImport(Settings("none"), database, CsvRequest((str(tmp_path),), ONE), Stopped()).run()
    assert ledger_columns(warehouse, "report", "row_count") == [("clicks", 1)]
    assert (warehouse.count("clicks"), warehouse.count("alt_delivery")) == (1, 0)
    assert warehouse.one("SELECT outcome, row_count FROM passona.runs") == ("interrupted", 1)


def test_errors_are_of_level_error_and_say_of_which_report(passona: Run, tmp_path: Path, file: Path) -> None:
    file.write_bytes(HEADER + b"1,2\r\n")
    ended = passona("import-csv", str(file), "--campaign", ONE, "--log-format", "json")
    (reported,) = [line for line in map(json.loads, ended.stderr.splitlines()) if line["level"] == "error"]
    assert (ended.returncode, reported["event"], reported["report"]) == (4, "file_refused", "recipient")
    assert (reported["campaign"], reported["exit_code"]) == (ONE, 4)


@pytest.mark.parametrize("place", ["https://[bad/clicks.csv", "HTTPS://[bad/clicks.csv", "~nobodyhere/clicks.csv"])
def test_a_place_that_cannot_be_read_is_an_error_of_one_line(warehouse: Warehouse, place: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read|no user of this name"):
        import_csv(warehouse, place)


@pytest.mark.core
def test_two_files_of_one_report_are_refused_before_anything_is_loaded(
    warehouse: Warehouse, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "again.csv").write_bytes(GOOD)
    with pytest.raises(ConfigurationError, match="are both recipient"):
        import_csv(warehouse, tmp_path)
    assert warehouse.count("recipient") == 0
    # The same file twice is one.
    assert [found.path for found in fetch_files([str(file), str(file)], tmp_path, None)] == [file]


def test_a_file_of_another_report_than_wanted_is_refused(warehouse: Warehouse, file: Path) -> None:
    outcome, (said,) = import_csv(warehouse, file, report="unsent")
    assert int(outcome.exit_code) == 4
    assert "expected a header of unsent, got that of recipient" in said


def test_lines_that_cannot_be_read_are_taken_aside_if_wanted(warehouse: Warehouse, file: Path, tmp_path: Path) -> None:
    bad = [b'1,"2,3,4,5\r\n', b"1,2\n", b'1,"x"y,3,4,5\r\n', b"\xff,2,3,4,5\r\n", HEADER, b"1,2,3,4,cut"]
    file.write_bytes(HEADER + b"".join(row(number, group="é") + line for number, line in enumerate(bad)))
    rejects = tmp_path / "rejects.txt"
    outcome, said = import_csv(warehouse, file, rejects=rejects)
    assert int(outcome.exit_code) == 0
    assert "6 lines cannot be read" in said[0]
    assert rejects.read_bytes() == b"".join(bad)
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert warehouse.rows("SELECT phone_number::BIGINT - 447700900123 FROM passona.recipient ORDER BY 1") == [
        (number,) for number in range(6)
    ]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("s3://bucket/clicks.csv", "s3:// is not supported"),
        ("http://example.org/clicks.csv", "expected an https address"),
        ("nowhere.csv", "no such file"),
    ],
)
def test_a_place_without_files_is_named(tmp_path: Path, place: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        fetch_files([place], tmp_path, None)


def test_a_link_that_has_ended_is_told_without_the_link(warehouse: Warehouse, box: Sandbox) -> None:
    outcome, (said,) = import_csv(warehouse, f"{box.base_url}nothing/secret-link.csv?signature=abc")
    assert int(outcome.exit_code) == 4
    assert "127.0.0.1: status 404" in said
    assert "secret" not in said


def test_no_log_tells_what_is_in_a_file(warehouse: Warehouse, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    file.write_bytes(GOOD + b"447700900123,Secret Words\r\n")
    _, said = import_csv(warehouse, file)
    assert PHONE not in caplog.text + str(said)
    assert TEXT not in caplog.text + str(said)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_lines_are_taken_aside_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes((GOOD + b"1,2\r\n" + row(9, group="Café")).decode().encode(encoding))
    file = CsvFile(path, "any.csv", LATER)
    contents = file.read(file.form(), lambda: Spool(RECIPIENT, ONE, tmp_path / "spool"), rejects=tmp_path / "rejects")
    spool = contents.spool
    assert (contents.rejected, len(spool), (tmp_path / "rejects").read_bytes()) == (1, 5, b"1,2\r\n")
    assert [name for batch in spool.batches() for name in batch.column("Group_Name").to_pylist()][-1] == "Café"


def test_the_end_of_a_line_that_is_too_long_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passona.csv_files._records.LARGEST_ROW", 1_000)
    path = tmp_path / "long.csv"
    long = b"x" * 2_002 + row(7)
    path.write_bytes(GOOD + long + row(8))
    file = CsvFile(path, "long.csv", LATER)
    contents = file.read(file.form(), lambda: Spool(RECIPIENT, ONE, tmp_path / "spool"), rejects=tmp_path / "rejects")
    assert ((tmp_path / "rejects").read_bytes(), len(contents.spool)) == (long, 5)


@given(st.text(alphabet='ab",\r\n é', max_size=60))
@settings(max_examples=100, deadline=None)
def test_what_is_taken_is_what_a_strict_reader_reads(tmp_path_factory: pytest.TempPathFactory, body: str) -> None:
    path = tmp_path_factory.getbasetemp() / "random.csv"
    path.write_bytes(HEADER + body.encode())
    file = CsvFile(path, "random.csv", LATER)
    try:
        expected = [found for found in csv.reader(io.StringIO(body, newline=""), strict=True) if found]
        whole = all(len(found) == len(KEYS) for found in expected) and (not body or body[-1] in "\r\n")
        expected = [found for found in expected if any(found)]  # lines of commas are no rows
    except csv.Error:
        whole = False
    try:
        spool = file.read(file.form(), lambda: Spool(RECIPIENT, ONE, path.with_suffix(".arrow"))).spool
    except FileRefused:
        assert not whole
        return
    assert whole
    rows = [tuple(found[key] or "" for key in KEYS) for batch in spool.batches() for found in batch.to_pylist()]
    assert rows == [tuple(found) for found in expected]
    spool.drop()
