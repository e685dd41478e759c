"""Files as spreadsheets, shells and exporters leave them: none becomes rows that mean something else."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from passona.cli.import_csv import import_csv as verb
from passona.config.settings import Settings
from passona.csv_files.cells import Quality, restore_cells
from passona.csv_files.reader import CsvFile
from passona.reports.definitions import CLICKS, RECIPIENT
from passona.source.spool import Spool
from passona_sandbox import Account, Sandbox
from spreadsheet_docs import PAGE, Result, Trial, page
from support.campaigns import ONE, open_campaign
from support.csv_files import GOOD as RECIPIENTS
from support.csv_files import HEADER, row
from support.csv_imports import import_csv
from support.ledgers import ledger_columns
from support.people import MODES
from support.spreadsheet_files import FILES, GOOD, File, changed, sheet, short
from support.warehouses import Warehouse, environment_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LATER = datetime(2098, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.duckdb("one engine will do: files are read before the warehouse is opened")


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Result]:
    """What becomes of a file, by its place in the list."""
    trial = Trial(tmp_path_factory.mktemp("trial"))
    return cache(lambda number: trial.result(FILES[number]))


@pytest.mark.parametrize(
    ("number", "file"), enumerate(FILES), ids=lambda each: each.what if isinstance(each, File) else ""
)
@pytest.mark.core(3)
def test_a_file_is_loaded_exactly_or_refused_or_recorded(
    number: int, file: File, outcome_of: Callable[[int], Result]
) -> None:
    result = outcome_of(number)
    assert (result.outcome, file.said in "\n".join(result.lines)) == (file.outcome, True), result.lines
    assert result.state == ("open" if file.outcome == "recorded" else "settled")
    assert file.outcome != "refused" or sum("the old rows stay" in line for line in result.lines) == 1
    assert "4477009" not in str(result.lines)


def test_the_page_tells_what_becomes_of_them(outcome_of: Callable[[int], Result]) -> None:
    assert len(FILES) >= 60
    assert PAGE.read_text("utf-8") == page([outcome_of(number) for number in range(len(FILES))]), (
        "make spellings writes it anew"
    )


@pytest.mark.parametrize("mode", MODES)
def test_lost_values_are_recorded_and_keep_the_report_open(
    mode: str, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    rows = [dict(zip((c.key for c in CLICKS.columns), cells, strict=True)) for cells in changed(0, str)]
    account.put(open_campaign(ONE, expiry_date="2020-07-01 00:00:00"), {"clicks": rows})
    file = tmp_path / "clicks.csv"
    file.write_bytes(sheet(changed(0, short, [0, 3])))
    settings = Settings("none", **MODES[mode])
    for wishes, code in ({}, 0), ({"accept_mangled": True}, 0):
        outcome, said = import_csv(warehouse, file, made_at=LATER, settings=settings, **wishes)
        assert (int(outcome.exit_code), ledger_columns(warehouse, "state")) == (code, [("open",)])
    assert said == ["clicks.csv: 2 of 4 phones cannot be read; row_issues has what came, and clicks stays open"]
    assert warehouse.one("SELECT count(*), count(phone_number) FROM passona.clicks") == (4, 2)
    raw = "4.47701E+11" if mode == "clear" else "9.99999E+99"
    assert (
        warehouse.rows("SELECT column_name, raw_value, issue FROM passona.row_issues")
        == [("phone_number", raw, "invalid_phone")] * 2
    )
    assert warehouse.load(box, ONE, **MODES[mode]).exit_code == 0
    assert warehouse.one("SELECT count(*), count(phone_number) FROM passona.clicks") == (4, 4)
    assert ledger_columns(warehouse, "report", "state")[1] == ("clicks", "settled")
    assert warehouse.count("row_issues") == 0


SENT = "MessageId,Brand,SentOn,RecipientCount,TemplateApiId,TemplateName,Message"


@pytest.mark.parametrize(
    ("counts", "held", "said"),
    [
        (('"1,234"', "1234.0", "7"), [7, 1234, 1234], "read as what they were: 2"),
        (("1.234", "1\u202f234", "'7"), [7, 1234, 1234], "read as what they were: 3"),
        (("1E+05", "####", "7"), [7, None, None], "2 of 3 counts cannot be read"),
    ],
)
def test_counts_with_lost_digits_are_reported_and_never_settle(
    warehouse: Warehouse, tmp_path: Path, counts: tuple[str, ...], held: list[int | None], said: str
) -> None:
    file = tmp_path / "sent.csv"
    rows = [f"m{n},B,2020-06-08 13:50:06,{count},a,T,Hi" for n, count in enumerate(counts)]
    file.write_text("\r\n".join([SENT, *rows, ""]), "utf-8")
    _, lines = import_csv(warehouse, file, made_at=LATER)
    assert said in "\n".join(lines)
    found = warehouse.rows("SELECT recipient_count FROM passona.sent ORDER BY 1 NULLS LAST")
    assert [count for (count,) in found] == held
    assert ledger_columns(warehouse, "state") == [("open" if None in held else "settled",)]


def test_a_word_in_place_of_a_phone_is_recorded_without_it_in_the_other_modes(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    file = tmp_path / "clicks.csv"
    file.write_bytes(GOOD + b"Zeb Total,4,,,,,,\r\n")
    _, lines = import_csv(warehouse, file, settings=Settings("none", **MODES["pseudonymous"]))
    assert "1 of 5 phones cannot be read" in "\n".join(lines)
    assert warehouse.rows("SELECT raw_value, issue FROM passona.row_issues") == [("xxx xxxxx", "invalid_phone")]


@pytest.mark.parametrize("rows", [65_535, 1_048_575])
def test_as_many_rows_as_a_sheet_can_hold_are_doubted(rows: int) -> None:
    quality = Quality()
    for size in (rows // 2, rows - rows // 2):
        quality.add(restore_cells(RECIPIENT, {"Phone_Number": pa.array(["447700900123"] * size)})[1])
    assert (quality.fills_a_sheet, quality.losses) == (True, "")
    quality.add(Quality(rows=1))
    assert not quality.fills_a_sheet


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+44 7700 900123", "+44 7700 900123"), ("07700 900123", "07700 900123"), ("447 700 900 123", "447 700 900 123"),
        ("'+447700900123", "+447700900123"), ('="+44 7700 900123"', "+44 7700 900123"), ("=447700900123", "447700900123"),
        ("withheld", "withheld"), ("'Ann'", "'Ann'"), ("4.47701E+11", "4.47701E+11"), ("447.5", "447.5"), ("", ""),
        ("\ufeff447700900123 ", "447700900123"), ("447700900123.0", "447700900123"), ("447700900123.5", "447700900123.5"),
    ],
)  # fmt: skip
def test_a_phone_is_restored_from_the_form_of_a_spreadsheet(text: str, expected: str) -> None:
    columns, quality = restore_cells(
        RECIPIENT, {"Phone_Number": pa.array([text, "447"]), "Group_Name": pa.array(["A", "B"])}
    )
    assert columns["Phone_Number"].to_pylist() == [expected, "447"]
    assert quality.restored == (text != expected)


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, `passona` being the command."""
    passona = f'passona() {{ {sys.executable} -m passona "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", passona + command], cwd=folder, env=environment_of(None, folder) | environment,
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(
    "source", ["<(cat clicks.csv)", "- < clicks.csv", "/dev/stdin < clicks.csv", "- < <(gzip -c clicks.csv)"]
)
def test_a_file_comes_through_a_pipe(source: str, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_bytes(GOOD)
    ended = shell(f"passona import-csv {source} --campaign {ONE} --json", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["reports"]["clicks"]["rows"] == 4
    assert "clicks stays open, because only this copy's time tells" in ended.stderr  # nobody vouches for a pipe's
    assert {path.name for path in tmp_path.iterdir()} == {"clicks.csv", "warehouse.duckdb"}


def test_campaigns_are_named_on_standard_input(tmp_path: Path, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {})
    environment = environment_of(box)
    for command in (
        f"passona load --campaigns-file - --json <<< '{ONE} # one'",
        f"passona load --campaigns-file <(echo {ONE}) --json",
    ):
        ended = shell(command, tmp_path, **environment)
        assert (ended.returncode, json.loads(ended.stdout)["campaigns"]) == (0, 1), ended.stderr
    ended = shell("passona load --campaigns-file - <<< 'x'", tmp_path, **environment)
    assert (ended.returncode, ended.stderr.startswith("passona: standard input, line 1: ")) == (2, True)
    ended = shell("passona load --campaigns-file - < /dev/null", tmp_path, **environment)
    assert (ended.returncode, "standard input names no campaign" in ended.stderr) == (2, True)
    ended = shell("passona load --campaigns-file .", tmp_path, **environment)
    assert (ended.returncode, ended.stderr) == (2, "passona: .: Is a directory\n")


def test_files_that_nobody_made_are_not_looked_for_in_a_folder(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("._clicks.csv", ".clicks.csv.swp", "~$clicks.csv", ".hidden.csv"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    (folder / "clicks.csv").write_bytes(GOOD)
    outcome, _ = import_csv(warehouse, folder)
    assert (int(outcome.exit_code), outcome.reports["clicks"].loaded) == (0, 1)


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ("2026-11-26T00:00:00Z", "2026-11-26 00:00:00"), ("2026-11-26T01:00:00+01:00", "2026-11-26 00:00:00"),
        ("2026-11-26T01:00:00.5+0100", "2026-11-26 00:00:00.5"), ("2026-11-26", "2026-11-26 00:00:00"),
        ("2026-11-26 10:20", "2026-11-26 10:20:00"), ("20261126T102030Z", "2026-11-26 10:20:30"),
    ],
)  # fmt: skip
def test_a_time_is_taken_with_its_offset(time: str, instant: str, tmp_path: Path) -> None:
    context = verb.make_context("import-csv", ["x.csv", "--campaign", ONE, "--made-at", time])
    assert context.params["made_at"] == datetime.fromisoformat(f"{instant}+00:00")


@pytest.mark.parametrize(
    "time", ["yesterday", "26/11/2026", "2026-11-26T00:00:00+99:00", "0001-01-01T00:00:00+02:00", ""]
)
def test_a_time_that_is_none_is_refused(time: str) -> None:
    refused = CliRunner().invoke(verb, ["x.csv", "--campaign", ONE, "--made-at", time])
    assert (refused.exit_code, "expected an ISO date or time" in refused.output) == (2, True)


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Gives the address of a server that answers the next request with just these lines."""
    with ExitStack() as servers:

        def begin(headers: list[str], body: bytes, status: str = "200 OK") -> str:
            server = servers.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            answer = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body

            def serve() -> None:
                with server.accept()[0] as connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            servers.callback(thread.join, 10)
            return f"http://127.0.0.1:{server.getsockname()[1]}/clicks.csv"

        yield begin


@pytest.mark.parametrize("length", ["x", "-5", "1, 1", "٣", "99999999999999999999999"])
def test_a_length_that_is_none_is_not_believed(
    length: str, warehouse: Warehouse, answering: Callable[..., str]
) -> None:
    address = answering([f"Content-Length: {length}", "Last-Modified: soon", "Connection: close"], GOOD)
    outcome, said = import_csv(warehouse, address)
    assert int(outcome.exit_code) in (0, 4), said
    assert outcome.exit_code or warehouse.count("clicks") == 4


def test_a_redirect_to_no_address_fails_that_file_alone(warehouse: Warehouse, answering: Callable[..., str]) -> None:
    address = answering(["Location: https://[bad/clicks.csv", "Content-Length: 0"], b"", status="302 Found")
    outcome, (said,) = import_csv(warehouse, address)
    assert int(outcome.exit_code) == 4
    assert said == "127.0.0.1: the download failed (ValueError); nothing of it is loaded, run again"


def test_lines_without_values_and_marks_and_ends_are_left_out(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + HEADER + b"\xef\xbb\xbf" + row(1) + b",,,,\r\n\xef\xbb\xbf" + row(2) + b"\x1a\x1a\r\n"
    path = tmp_path / "recipient.csv"
    digests = []
    for each in (content, HEADER + row(1) + row(2)):
        path.write_bytes(each)
        file = CsvFile(path, "recipient.csv", LATER)
        spool = file.read(file.form(), lambda: Spool(RECIPIENT, ONE, tmp_path / "spool")).spool
        digests.append(spool.fingerprint.digest())
    assert digests[0] == digests[1]


@pytest.mark.core
def test_a_line_above_the_header_counts_as_a_line(warehouse: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "recipient.csv"
    file.write_bytes(b"sep=,\r\n" + RECIPIENTS + b"1,2\r\n")
    _, (said,) = import_csv(warehouse, file)
    assert "line 7 cannot be read" in said
    rejects = tmp_path / "rejects"
    outcome, _ = import_csv(warehouse, file, rejects=rejects)
    assert (int(outcome.exit_code), rejects.read_bytes(), warehouse.count("recipient")) == (0, b"1,2\r\n", 4)
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_ids_of_which_digits_are_lost_are_told_and_settle_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    def sent(*ids: str) -> Path:
        file = tmp_path / "unsent.csv"
        rows = "".join(f"{each},447700900123,x,,\r\n" for each in ids)
        file.write_text(f"MessageId,Mobile,Reason,FieldNames,FieldValues\r\n{rows}", "utf-8")
        return file

    outcome, said = import_csv(warehouse, sent("1.23457E+17", "1.23457E+17", "123e4567"), made_at=LATER)
    assert (int(outcome.exit_code), ledger_columns(warehouse, "state")) == (4, [])
    assert "2 of 3 ids are shortened, as a spreadsheet leaves them" in "".join(said)
    outcome, said = import_csv(warehouse, sent("########", "1", "123e4567"), made_at=LATER)
    assert (int(outcome.exit_code), ledger_columns(warehouse, "state")) == (0, [("open",)])
    assert said == ["unsent.csv: 1 of 3 ids are shortened; unsent stays open"]
    assert warehouse.rows("SELECT message_id FROM passona.unsent ORDER BY 1") == [("########",), ("1",), ("123e4567",)]
