"""`make versions-check`: run all tests on the newest DuckDB, and those of loads and the source on every Python here.

    python pipelines/tools/versions.py [--only duckdb|3.13] [-- arguments of pytest on the newest DuckDB]

Each version has an environment of its own in .venv-versions. The Pythons are those of pyproject.toml's classifiers; one
that is neither on the path nor installed by pyenv is skipped. The exit code is 1 if anything failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".venv-versions"
TESTS = ("tests/loading/test_load.py", "tests/source/test_source.py")
CLASSIFIER = "Programming Language :: Python :: 3."


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests on other versions of DuckDB and Python.")
    parser.add_argument("--only", help="duckdb, or a Python such as 3.13")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest on the newest DuckDB")
    arguments = parser.parse_args()
    only = arguments.only
    results = [_run_on_newest_duckdb(arguments.pytest)] if only in (None, "duckdb") else []
    results += [_run_on_python(version) for version in _pythons() if only in (None, version)]
    return int(not all(results))


def _run_on_newest_duckdb(arguments: list[str]) -> bool:
    ENVIRONMENTS.mkdir(exist_ok=True)
    unpinned = ENVIRONMENTS / "constraints.txt"
    pins = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
    unpinned.write_text("".join(pin for pin in pins if not pin.startswith("duckdb==")))
    workers = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
    return _run("DuckDB", sys.executable, unpinned, [*workers, *arguments])


def _run_on_python(version: str) -> bool:
    interpreter = _interpreter(version)
    if interpreter is None:
        _print(f"Python {version}: not installed, skipped")
        return True
    return _run(f"Python {version}", interpreter, ROOT / "constraints.txt", ["-n", "2", *TESTS])


def _pythons() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [line.rpartition(" ")[2] for line in project["classifiers"] if line.startswith(CLASSIFIER)]


def _interpreter(version: str) -> str | None:
    """Return the path of a Python that runs. (pyenv puts commands on the path for versions that are not active.)"""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
    return next((path for path in candidates if path and _succeeds([path, "-c", ""])), None)


def _run(name: str, interpreter: str, constraints: Path, tests: list[str]) -> bool:
    """Update an environment, run tests in it, and return True if everything succeeded."""
    folder = ENVIRONMENTS / name.lower().replace(" ", "-")
    python = str(folder / "bin" / "python")
    _print(f"{name}: installing into {folder.relative_to(ROOT)}")
    install = [python, "-m", "pip", "install", "--quiet", "--upgrade", "--constraint", str(constraints)]
    succeeded = _succeeds([interpreter, "-m", "venv", str(folder)]) and _succeeds(
        [*install, "--editable", ".[dev]", "duckdb"], show=True
    )
    versions = "import duckdb, platform; print('DuckDB', duckdb.__version__, 'on Python', platform.python_version())"
    succeeded = succeeded and _succeeds([python, "-c", versions], show=True)
    succeeded = succeeded and _succeeds([python, "-m", "pytest", *tests], show=True)
    _print(f"{name}: {'passed' if succeeded else 'failed'}")
    return succeeded


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _succeeds(command: list[str], *, show: bool = False) -> bool:
    output = None if show else subprocess.DEVNULL
    ended = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False)  # noqa: S603  # our own commands
    return ended.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
