"""What the tests share: a Passona on loopback, a warehouse, the console command."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from demo_data import build_demo
from passona_sandbox import Account, Sandbox
from support.engines import ENGINE, drop
from support.forked import run_passona
from support.warehouses import Warehouse, environment_of

# A test never asserts a time, nor does hypothesis for it: a machine that does other things too is no fault.
settings.register_profile("passona", deadline=None)
settings.load_profile("passona")


# Files of one worker for twenty seconds and more, which share what is built once: begun first, so that at the end no
# worker is left alone with one of them.
LONG = (
    "test_transform",
    "test_isolation",
    "test_one_writer",
    "test_verification",
    "test_forget_everywhere",
    "test_source",
    "test_ownership",
    "test_lifting",
    "test_publish_privacy",
    "test_big_kills",
    "test_lifecycle",
    "test_load",
    "test_people",
    "test_kills",
    "test_nights",
)


# Variants of a test that `make check` runs beside those of the core: all of them would take more than an hour.
OTHERS_IN_CHECK = 2


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    variants: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for item in items:
        if item.path.parent.name in ("unit", "sandbox"):
            item.add_marker("core")
        test = item.nodeid.partition("[")[0]
        variants[test] += 1
        mark = item.get_closest_marker("core")
        if mark and mark.args and variants[test] > mark.args[0]:
            item.own_markers.remove(mark)
        if not item.get_closest_marker("core"):
            others[test] += 1
            if others[test] > OTHERS_IN_CHECK:
                item.add_marker("variant")
        for engine in {"duckdb", "postgres"} - {ENGINE}:
            if mark := item.get_closest_marker(engine):
                item.add_marker(pytest.mark.skip(reason=f"on {engine} alone: {mark.args[0]}"))
    order = {f"{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def engine() -> str:
    """The engine that this run is on. A test that is of one engine alone is marked with it, and skipped on the other."""
    return ENGINE


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    yield warehouse
    drop(warehouse.path)


@pytest.fixture
def account() -> Account:
    """An account with nothing in it."""
    return Account.empty()


@pytest.fixture
def box(account: Account) -> Iterator[Sandbox]:
    with Sandbox(account) as box:
        yield box


@pytest.fixture
def passona(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the console command in a process of its own, in an empty folder, and gives its end."""

    def run(*arguments: str, box: Sandbox | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_passona(arguments, tmp_path, environment_of(box, tmp_path) | environment)

    return run


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begins the console command in a process of its own, in the same folder; killed if it outlives the test."""
    processes = []

    def begin(*arguments: str, box: Sandbox | None = None, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "passona", *arguments],
            cwd=tmp_path,
            env=environment_of(box, tmp_path) | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Tests that run in the background of a shell inherit from it that SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # takes no lock
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def demo_warehouse(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The demo's data with its marts, to be read alone; built once, for all workers."""
    own = tmp_path_factory.getbasetemp()
    folder = own if worker_id == "master" else own.parent
    path = folder / "demo" / "warehouse.duckdb"
    with (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            making = folder / "demo_in_the_making"
            making.mkdir()
            build_demo(making / "warehouse.duckdb")
            making.rename(path.parent)
    return path
