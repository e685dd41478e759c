"""Who may import whom: down the line of packages, never up; and what is slow to import is imported late."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PIPELINES = Path(__file__).parents[2] / "pipelines"
LINE = [
    "errors",
    "reports",
    "config",
    "masking",
    "source",
    "csv_files",
    "warehouse",
    "erasure",
    "analytics",
    "monitoring",
    "cli",
]
OWNERS = {
    "requests": {"source", "csv_files", "monitoring"},
    "urllib3": {"source"},
    "duckdb": {"warehouse", "analytics"},
    "psycopg2": {"warehouse"},
    "dbt": {"warehouse", "analytics"},
    "dlt": {"config", "source", "warehouse"},
    "passona_sandbox": {"cli"},
}
# What a row means knows no HTTP, no clock, no files, no dlt.
PURE = (
    "reports/*",
    "masking/ph*",
    "masking/policy",
    "masking/*likely*",
    "masking/*folding",
    "masking/tokens",
    "masking/masks",
    "source/rows",
    "source/pages",
    "source/ledger",
    "csv_files/form",
)
IMPURE = {"dlt", "duckdb", "requests", "urllib3", "socket", "http", "time", "threading", "os", "pathlib", "random"}


def imports(package: str, pattern: str = "**/*") -> Iterator[tuple[Path, str]]:
    for file in sorted((PIPELINES / package).glob(f"{pattern}.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield file, node.module or "."


def package_of(file: Path) -> str:
    return file.relative_to(PIPELINES / "passona").parts[0].removesuffix(".py")


def test_imports_go_down_the_line() -> None:
    found = [(package_of(file), name.split(".")[1]) for file, name in imports("passona") if name.startswith("passona.")]
    assert len(found) > 500
    assert {pair for pair in found if pair[0] in LINE and LINE.index(pair[1]) > LINE.index(pair[0])} == set()
    assert {package_of(path) for path in (PIPELINES / "passona").glob("[!_]*") if path.name != "py.typed"} == {*LINE}


@pytest.mark.parametrize("library", OWNERS)
def test_a_big_library_is_imported_by_its_owners_alone(library: str) -> None:
    assert {package_of(file) for file, name in imports("passona") if name.split(".")[0] == library} == OWNERS[library]


@pytest.mark.parametrize("pattern", PURE)
def test_what_a_row_means_is_pure(pattern: str) -> None:
    found = [*imports("passona", pattern)]
    assert found
    assert [(file.name, name) for file, name in found if name.split(".")[0] in IMPURE] == []


def test_a_private_module_is_imported_by_its_own_package_alone() -> None:
    assert [
        (str(file), name)
        for file, name in imports("passona")
        if "._" in name and not name.startswith(f"passona.{package_of(file)}.")
    ] == []


def test_the_sandbox_never_imports_passona() -> None:
    assert [name for _, name in imports("passona_sandbox") if name.split(".")[0] == "passona"] == []


def test_help_and_a_wrong_option_do_not_pay_for_what_they_do_not_use() -> None:
    script = "import json, sys, passona.cli.main; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    loaded = set(json.loads(output))
    assert "passona.cli.main" in loaded
    assert loaded & {"dlt", "duckdb", "pyarrow", "pendulum", "requests"} == set()


def test_importing_has_no_effect() -> None:
    script = (
        "import pkgutil, passona, threading, os\n"
        "before = set(os.listdir())\n"
        "for module in pkgutil.walk_packages(passona.__path__, 'passona.'):\n"
        "    if module.name != 'passona.__main__': __import__(module.name)\n"
        "assert threading.active_count() == 1\n"
        "assert set(os.listdir()) == before\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
