"""Paths with characters that are syntax somewhere: in SQL, in a template, in an address, in a pattern."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from passona.config.path_syntax import catalog_name
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.forked import Begun
from support.warehouses import Warehouse, environment_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]

KEY, NEW_KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
CSV = "Phone_Number,Link_Name,Link_Destination,Clicked_At,User_Agent,Device_Type,OS_Version,Browser_Version\n"
# DuckDB 2 takes it for a slash.
BACKSLASH = "" if int(duckdb.__version__.partition(".")[0]) >= 2 else "\\"
NAMES = ["it's", 'a"b', "50%20off%41%s%%", f"a b;c{BACKSLASH}d#e", "n\nü漢\t\x01e\u0301", "*[x]{y}", "{{ x }}$X${Y}",
         "&|`~:--(x)<x>@!^,+", "a=b"]  # fmt: skip
ALL = "".join(NAMES)
# What DuckDB, dlt and this program call their catalogs and schemas.
CALLED = ["main", "temp", "information_schema", "passona_staging", "warehouse", "fresh", "marts", "select"]

pytestmark = pytest.mark.duckdb("about the paths of files")


def plain(text: str) -> str:
    """A name for a test that pytest does not misread."""
    return "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):x}_" for c in text)


@pytest.fixture
def odd_box(account: Account, box: Sandbox) -> Sandbox:
    account.put(open_campaign(ONE), {"clicks": [click(1), click(2)], "alt_delivery": [message(1)]})
    return box


@pytest.fixture
def run(tmp_path: Path, odd_box: Sandbox) -> Run:
    """Runs a verb, with arguments, on the warehouse at a path."""

    def run_on(path: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = environment_of(odd_box) | {"DESTINATION__WAREHOUSE__CREDENTIALS": str(path)}
        sources = {f"SOURCES__PASSONA__{name.upper()}": value for name, value in settings.items()}
        # One call builds all models, which takes a busy machine some minutes.
        return Begun([str(argument) for argument in arguments], tmp_path, environment | sources).wait(600)

    return run_on


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def files(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (str(Path(place, name).relative_to(folder)) for name in names)


@pytest.mark.parametrize("name", [*NAMES, "a?b"], ids=plain)
def test_a_load_works_whatever_stands_in_the_path(tmp_path: Path, run: Run, name: str) -> None:
    path = made(tmp_path / name.replace("?", "") / f"{name}.duckdb")
    for arguments in (["load"], ["load", "--refresh"], ["status", "--max-age", "1d"]):
        assert (ended := run(path, *arguments)).returncode == 0, ended.stderr
    assert Warehouse(path).count("clicks") == 2
    assert list(files(tmp_path)) == [str(path.relative_to(tmp_path))]


def test_every_verb_works_whatever_stands_in_the_path(tmp_path: Path, run: Run) -> None:
    path = made(tmp_path / ALL / f"a?b{ALL}.duckdb")
    csv, copy, marts, page = (path.with_name(path.name + end) for end in (".csv", ".copy.db", ".marts.db", ".html"))
    csv.write_text(CSV + "447123400009,L,,2020-06-08 13:50:06,,,,\n")
    secret = {"privacy": "pseudonymous", "privacy_key": KEY}
    for arguments in (
        ["load", "--transform", "--publish", copy],
        ["import-csv", csv, "--campaign", TWO],
        ["report", page],
        ["publish", "--marts-only", marts],
        ["campaigns"],
        ["forget", "447123400002"],
    ):
        ended = run(path, *arguments, **secret)
        assert ended.returncode == 0, (arguments, ended.stderr)
    new = {"privacy": "pseudonymous", "privacy_key": NEW_KEY, "privacy_former_keys": f'["{KEY}"]'}
    assert (ended := run(path, "re-key", **new)).returncode == 0, ended.stderr
    assert Warehouse(path).count("clicks") == 2
    assert Warehouse(marts).rows("SELECT campaign_id FROM analytics.campaigns") == [(ONE,)]
    assert b"</html>" in page.read_bytes()
    assert {tmp_path / file for file in files(tmp_path)} == {path, csv, copy, marts, page}
    # The copy has another name, and its views used to name the file that they were made in.
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM passona.clicks").fetchall() == [(2,)]
        views = connection.execute("SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for schema, view in views:
            connection.execute(f'SELECT * FROM "{schema}"."{view}"').fetchall()
    assert ("analytics_staging", "stg_passona__clicks") in views


@pytest.mark.parametrize("stem", CALLED)
def test_a_file_may_be_called_as_a_catalog_or_a_schema_is(tmp_path: Path, run: Run, stem: str) -> None:
    path = tmp_path / f"{stem}.duckdb"
    for arguments in (["load"], ["forget", "447123400002"]):
        assert (ended := run(path, *arguments)).returncode == 0, (arguments, ended.stderr)
    assert Warehouse(path).count("clicks") == 1


@pytest.mark.parametrize("name", ["passona.duckdb", "Analytics.db", ".analytics_staging", "passona?b"])
def test_a_file_is_not_called_as_a_schema_that_people_ask_for(
    tmp_path: Path, run: Run, odd_box: Sandbox, name: str
) -> None:
    # Whoever opens it could not say passona.clicks: DuckDB would look for a table of that catalog.
    for verb in ("load", "status"):
        ended = run(tmp_path / name, verb)
        assert ended.returncode == 2, ended.stderr
        assert "choose another name, such as warehouse.duckdb" in ended.stderr
    assert odd_box.requests == []
    assert list(files(tmp_path)) == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (b"w\xff.duckdb", "UTF-8"),
        (b"\xe9/w.duckdb", "UTF-8"),
        (b"a?b/w.duckdb", "?"),
        *([] if BACKSLASH else [(b"a\\b/w.duckdb", "takes for a /"), (b"a\\b.duckdb", "takes for a /")]),
    ],
)
@pytest.mark.core(1)
def test_what_duckdb_cannot_open_is_refused(
    tmp_path: Path, run: Run, odd_box: Sandbox, place: bytes, said: str
) -> None:
    path = made(Path(os.fsdecode(bytes(tmp_path) + b"/" + place)))
    for arguments in (["load"], ["status"], ["load", "--publish", path]):
        ended = run(tmp_path / "w.duckdb" if path in arguments else path, *arguments)
        assert ended.returncode == 2
        assert said in ended.stderr
    assert odd_box.requests == []
    assert list(files(tmp_path)) == []


@pytest.mark.parametrize("name", [*NAMES, ALL, *CALLED, "a?b", "a.b.c", ".a.b", "..a", "a", " a.b"], ids=plain)
def test_a_files_catalog_is_called_as_duckdb_calls_it(tmp_path: Path, name: str) -> None:
    reserved = {name: f"{name}_db" for name in ("main", "temp", "system")}
    with duckdb.connect(str(tmp_path / name)) as connection:
        ((called,),) = connection.execute("SELECT current_database()").fetchall()
    assert reserved.get(catalog_name(tmp_path / name), catalog_name(tmp_path / name)) == called.lower()
