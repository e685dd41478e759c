"""Who may know whom: imports go one way, and what is slow to import is imported late."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PIPELINES = Path(__file__).parents[2] / "pipelines"

# The map of passona/__init__.py, bottom to top: a module imports from lines below its own alone.
LAYERS = """
folding
phones
likely_phones phone_search quoting
errors reports times run_log lists decoding row_ids replacement tokens shapes connection capable
messages
keeping path_syntax project logs marts csv_form environment dlt_context
privacy settings agents
people on_failure lookup privacy_mode
spelling
schema
csv_cells rows configuration interruption csv_text work_folder
waiting csv_lines
source
csv_reader downloads
csv_places ledger_table
ownership address load_package
upgrades text_columns key_columns
erasure
linked_tables
counting
postgres_copy target engine duckdb_rewriting
postgres_session
postgres_lock
postgres_destination
duckdb_file postgres
database
register
forgetting retention person
rekeying lifting
campaign_table overview verification
transform figures status mailings reduction
page_words
page_sections
page
load report doctor publish metrics
csv_import
ending
options screen
status_screen
verbs
cli
__main__
"""
PLACES = {name: place for place, line in enumerate(LAYERS.split("\n")) for name in line.split()}
OWNERS = {
    "requests": {"source", "downloads", "on_failure"},
    "urllib3": {"source"},
    "duckdb": {"duckdb_file", "duckdb_rewriting", "marts", "publish"},
    "dlt": {
        "address",
        "capable",
        "configuration",
        "database",
        "dlt_context",
        "duckdb_file",
        "lookup",
        "postgres_destination",
        "source",
        "load_package",
    },
    "psycopg2": {"postgres", "postgres_session", "postgres_lock"},
    "dbt": {"transform", "duckdb_file"},
}
# What a row means knows no HTTP, no clock, no files, no dlt.
PURE = (
    "reports",
    "times",
    "lists",
    "row_ids",
    "source/pages",
    "source/ledger",
    "folding",
    "phones",
    "likely_phones",
    "phone_search",
    "tokens",
    "shapes",
    "privacy",
    "rows",
    "csv_form",
)
OUTSIDE = {
    "dlt",
    "duckdb",
    "requests",
    "urllib3",
    "socket",
    "http",
    "time",
    "threading",
    "os",
    "pathlib",
    "io",
    "random",
}


@dataclass(frozen=True)
class Import:
    """One import: which room of this project imports what, and in which function, if in one.

    A room is a module, or a package of modules (`verbs`).
    """

    importer: str
    imported: str
    function: str | None

    @property
    def library(self) -> str:
        return self.imported.partition(".")[0]


def imports(package: str) -> list[Import]:
    return [found for file in sorted((PIPELINES / package).rglob("*.py")) for found in _imports_of(file)]


def _imports_of(file: Path) -> Iterator[Import]:
    importer = file.stem if (PIPELINES / "passona") not in file.parent.parents else file.parent.name

    def walk(node: ast.AST, function: str | None) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(importer, alias.name, function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}: a relative import"
                if child.module == "passona":
                    yield from (Import(importer, f"passona.{alias.name}", function) for alias in child.names)
                else:
                    yield Import(importer, child.module or "", function)
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            yield from walk(child, inside)

    return walk(ast.parse(file.read_text("utf-8")), None)


def test_the_imports_are_found_at_all() -> None:
    found = imports("passona")
    assert Import("load", "passona.source.walk", None) in found
    assert Import("verbs", "passona.warehouse.load", "load") in found
    assert Import("source", "dlt", None) in found


def test_every_module_has_its_place_in_the_order() -> None:
    modules = {file.stem for file in (PIPELINES / "passona").glob("*.py")} - {"__init__"}
    packages = {file.parent.name for file in (PIPELINES / "passona").glob("*/__init__.py")}
    assert modules | packages == PLACES.keys(), "a new module needs its place in LAYERS, one that went leaves it"


def test_imports_go_one_way() -> None:
    upward = [
        f"{found.importer} imports {found.imported}"
        for found in imports("passona")
        if found.library == "passona"
        and found.importer != "__init__"
        and (room := found.imported.split(".")[1]) != found.importer
        and PLACES[room] >= PLACES[found.importer]
    ]
    assert upward == []


def test_no_module_but_the_entry_point_imports_cli() -> None:
    assert {found.importer for found in imports("passona") if found.imported == "passona.cli"} == {"__main__"}


@pytest.mark.parametrize("library", OWNERS)
def test_a_big_library_is_known_to_its_owners_alone(library: str) -> None:
    assert {found.importer for found in imports("passona") if found.library == library} == OWNERS[library]


@pytest.mark.parametrize("module", PURE)
def test_what_a_row_means_is_pure(module: str) -> None:
    file = PIPELINES / "passona" / f"{module}.py"
    assert [found.imported for found in _imports_of(file) if found.library in OUTSIDE] == []
    source = ast.parse(file.read_text("utf-8"))
    called = {
        node.func.attr
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called.isdisjoint({"now", "utcnow", "today", "open", "read_text", "write_text"})


def test_the_package_itself_imports_nothing() -> None:
    found = {entry.imported for entry in imports("passona") if entry.importer == "__init__" and not entry.function}
    assert found == {"__future__", "typing", "passona.source.source"}  # the last for type checkers alone


def test_passona_imports_the_sandbox_in_its_verb_alone() -> None:
    found = {(found.importer, found.function) for found in imports("passona") if found.library == "sandbox"}
    assert found == {("verbs", "sandbox")}


def test_the_sandbox_never_imports_passona() -> None:
    assert [found for found in imports("sandbox") if found.library == "passona"] == []


def test_help_and_a_wrong_option_do_not_pay_for_what_they_do_not_use() -> None:
    script = "import json, sys, passona.cli; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    loaded = set(json.loads(output))
    assert "passona.cli" in loaded
    assert loaded & {"dlt", "duckdb", "pyarrow", "pendulum", "requests"} == set()


def test_importing_has_no_effect() -> None:
    script = (
        "import pkgutil, passona, threading, os\n"
        "before = set(os.listdir())\n"
        "for module in pkgutil.iter_modules(passona.__path__):\n"
        "    if module.name != '__main__': __import__(f'passona.{module.name}')\n"
        "assert threading.active_count() == 1\n"
        "assert set(os.listdir()) == before\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
