"""Signals at awkward moments: before and in the midst of imports, and where something swallows them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from passona.warehouse.database import open_database
from support.signals import STOPPED, end_by, wait_until
from support.warehouses import Warehouse

Begin = Callable[..., "subprocess.Popen[str]"]


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_signals_are_heard_before_anything_slow_is_imported(tmp_path: Path) -> None:
    # Ctrl-C in the first half second used to be a traceback.
    ended = run(tmp_path, "import sys, passona.__main__; print(*sys.modules)")
    assert {"passona.config.signals"} <= set(ended.stdout.split())
    assert {"click", "rich", "dataclasses", "passona.cli.main", "json", "logging"}.isdisjoint(ended.stdout.split())


def test_a_signal_in_the_midst_of_an_import_waits_for_its_end(tmp_path: Path) -> None:
    # It used to be raised inside: modules written in C crashed (SIGSEGV) or swallowed it.
    (tmp_path / "slow.py").write_text(
        "import os, signal, threading\nos.kill(os.getpid(), signal.SIGTERM)\nfor _ in range(1000): pass\nwhole = True\n"
    )
    script = (
        "import sys, threading; from passona.config.signals import listen; from passona.errors import Interrupted\n"
        "listen()\n"
        "try:\n    import slow; threading.Event().wait(30)\n"
        "except Interrupted as came: print(came.number, sys.modules['slow'].whole)"
    )
    ended = run(tmp_path, script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "15 True\n", "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_something_swallowed_is_heeded_at_the_end(tmp_path: Path, name: str) -> None:
    script = (
        "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from passona.config.signals import listen, raise_pending; listen()\n"
        f"try:\n    os.kill(os.getpid(), signal.{name}); [None for _ in range(1000)]\n"
        "except BaseException: pass\n"
        "raise_pending()"
    )
    ended = run(tmp_path, script)
    assert (ended.returncode, ended.stderr) == ({"SIGINT": 130, "SIGTERM": 143}[name], STOPPED)


OPENED = """
import os, pathlib, signal, threading
from passona.warehouse.database import open_database
from passona.errors import Interrupted
from passona.config.signals import listen
path, came = pathlib.Path("warehouse.duckdb").absolute(), []
def strike():
    while not any(pathlib.Path().glob("warehouse.duckdb.work/run.*/dlt")): pass
    os.kill(os.getpid(), signal.SIGTERM)
for _ in range(10):
    listen()
    striking = threading.Thread(target=strike)
    striking.start()
    try:
        open_database(path, 0, print).close()
        striking.join()
        [None for _ in range(1000)]
    except Interrupted as error:
        came.append(error.number)
    striking.join()
    import shutil; shutil.rmtree("warehouse.duckdb.work", ignore_errors=True)
print(came)
"""


def test_a_signal_while_the_warehouse_is_opened_is_not_forgotten(tmp_path: Path) -> None:
    # DuckDB used to make an error of it that dlt took for an answer, and the load went on to its end.
    ended = run(tmp_path, OPENED)
    assert (ended.stdout, ended.stderr) == (f"{[15] * 10}\n", "")


def test_a_signal_while_dbt_works_ends_it_with_one_line_and_leaves_nothing(begun: Begin, warehouse: Warehouse) -> None:
    # dbt used to say something of its own on stdout, its helper process on stderr, and the run was noted as an error.
    database = open_database(warehouse.path, 0, lambda line: None)
    database.prepare()
    database.close()
    building = begun("transform")
    work = warehouse.path.with_name("warehouse.duckdb.work")
    wait_until(lambda: any(work.glob("run.*/dbt")), building)
    assert end_by(building, signal.SIGTERM) == STOPPED
    assert building.returncode == 143
    # On a busy machine it may have ended before it noted that: whoever opens the warehouse next does.
    database = open_database(warehouse.path, 0, lambda line: None)
    database.prepare()
    database.close()
    assert warehouse.rows("SELECT verb, outcome FROM passona.runs") == [("transform", "interrupted")]
    assert not work.exists()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.core
def test_a_second_signal_ends_it_at_once_with_the_last_line(tmp_path: Path, name: str) -> None:
    # In the middle of a query, where Python hears no signal; the first one is held back.
    script = (
        "import os, signal, threading, time, duckdb\n"
        # A shell that started the tests with & has SIGINT ignored, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from passona.config.signals import deferred, listen; listen()\n"
        f"def strike():\n    for _ in range(99): os.kill(os.getpid(), signal.{name}); time.sleep(0.1)\n"
        "with deferred():\n"
        "    threading.Thread(target=strike).start()\n"
        "    duckdb.sql('SELECT count(*) FROM range(100_000_000_000) AS a, range(1000) AS b').fetchall()\n"
    )
    ended = run(tmp_path, script)
    assert (ended.returncode, ended.stderr) == ({"SIGINT": 130, "SIGTERM": 143}[name], STOPPED)


def test_one_signal_is_enough_where_what_holds_it_back_does_not_end(tmp_path: Path) -> None:
    script = (
        "import os, signal, threading, time, duckdb\n"
        "from passona.config.signals import deferred, listen; listen()\n"
        "def strike():\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "with deferred():\n"
        "    threading.Thread(target=strike).start()\n"
        "    duckdb.sql('SELECT count(*) FROM range(100_000_000_000) AS a, range(1000) AS b').fetchall()\n"
    )
    ended = run(tmp_path, script)
    assert (ended.returncode, ended.stderr) == (143, STOPPED)
