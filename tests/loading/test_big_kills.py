"""kill -9 while much is being written, in every kind of write; one ordinary load repairs each.

DuckDB keeps what is not in its file yet in a log beside it, and replays it into memory when the file is opened.
`make check` kills with logs of 2 MB, `make soak` of 2, 30 and 300 MB (PASSONA_LOGS), again and again (PASSONA_ROUNDS).
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.engines import POSTGRES, is_written
from support.forked import Begun, run_passona
from support.ledgers import assert_whole
from support.served import assert_as_served
from support.warehouses import Warehouse, environment_of

pytestmark = pytest.mark.both

# Megabytes of a log at which a run is killed.
LOGS = [int(size) for size in os.environ.get("PASSONA_LOGS", "2").split(",")]
ROUNDS = int(os.environ.get("PASSONA_ROUNDS", "1"))
# DuckDB writes whole groups of 122,880 rows into the file at once, so that they are never in the log.
MOST_ROWS = 80_000


def clicks_of(megabytes: int) -> int:
    """Clicks of the second campaign; the first has twice as many messages."""
    return min(800 * megabytes, MOST_ROWS) // 2


def fill(account: Account, version: int, megabytes: int, *, ended: bool = False) -> None:
    """Two campaigns whose messages make a log of more than so many megabytes."""
    clicks = clicks_of(megabytes)
    dates = {"started_sending_at": "2020-06-01 10:00:00", "expiry_date": "2020-06-02 10:00:00"} if ended else {}
    length = 120 * 800 * megabytes // (2 * clicks)
    texts = [f"v{version} " + f"{n * 7919 % 1_000_003:07}" * length for n in range(2 * clicks)]
    account.put(
        open_campaign(ONE, **dates), {"alt_delivery": [message(n, Status=text) for n, text in enumerate(texts)]}
    )
    account.put(
        open_campaign(TWO, **dates), {"clicks": [click(n, Link_Name=text) for n, text in enumerate(texts[:clicks])]}
    )


def log_of(folder: Path) -> int:
    """Bytes of the write-ahead log beside the warehouse."""
    try:
        return (folder / "warehouse.duckdb.wal").stat().st_size
    except FileNotFoundError:
        return 0


def kill_at_log(arguments: list[str], folder: Path, box: Sandbox, megabytes: int) -> bool:
    """Kill a run when the log has so many megabytes; False if it came to its end before that was seen."""
    run = Begun(arguments, folder, environment_of(box, folder))
    while not run.ended and log_of(folder) < megabytes * 1_000_000:
        pass
    run.kill()
    return log_of(folder) >= megabytes * 1_000_000


@pytest.mark.duckdb("about the log of a file")
@pytest.mark.parametrize("megabytes", LOGS)
def test_a_load_killed_with_a_large_log_is_repaired_by_the_next(
    tmp_path: Path, warehouse: Warehouse, account: Account, megabytes: int
) -> None:
    killed = 0
    with Sandbox(account, Switches(per_page_limit=500)) as box:
        for version in range(3 * ROUNDS):
            fill(account, version, megabytes)
            killed += kill_at_log(["load", "--accept-shrink"], tmp_path, box, megabytes)
            ended = run_passona(["load", "--accept-shrink"], tmp_path, environment_of(box, tmp_path))
            assert (ended.returncode, ended.stderr) == (0, "")
            assert_as_served(warehouse, account, [ONE, TWO])
            assert_whole(warehouse)
            assert {path.name for path in tmp_path.iterdir()} == {"warehouse.duckdb"}
    assert killed == 3 * ROUNDS


KEY, FORMER = "k" * 32, "f" * 32
TOKENS = {"SOURCES__PASSONA__PRIVACY": "pseudonymous", "SOURCES__PASSONA__PRIVACY_KEY": FORMER}
# What is killed, with what is set for it, and for all loads.
VERBS = {
    "refresh": (("load", "--refresh"), {}, {}),
    "import": (("import-csv", "clicks.csv", "--campaign", TWO, "--report", "clicks", "--accept-shrink"), {}, {}),
    "transform": (("transform", "--full-refresh"), {}, {}),
    "publish": (("publish", "readers.duckdb"), {}, {}),
    "forget": (("forget", "+44 7123 400007"), {}, {}),
    "retention": (("load",), {"SOURCES__PASSONA__RETAIN_DAYS": "90"}, {}),
    "re-key": (
        ("re-key",),
        {"SOURCES__PASSONA__PRIVACY_KEY": KEY, "SOURCES__PASSONA__PRIVACY_FORMER_KEYS": f'["{FORMER}"]'},
        TOKENS,
    ),
}


@pytest.mark.parametrize("megabytes", LOGS)
@pytest.mark.parametrize("verb", [verb for verb in VERBS if not POSTGRES or verb not in ("publish", "re-key")])
def test_any_verb_killed_while_it_writes_is_repaired_by_the_next_load(
    tmp_path: Path, engine: str, warehouse: Warehouse, account: Account, verb: str, megabytes: int
) -> None:
    arguments, own, usual = VERBS[verb]
    fill(account, 1, megabytes)
    csv = csv_of(list(account.rows(TWO, "clicks")))
    fill(account, 0, megabytes, ended=verb == "retention")
    with Sandbox(account, Switches(per_page_limit=500)) as box:

        def environment(**others: str) -> dict[str, str]:
            return environment_of(box, tmp_path) | usual | others

        def run(*words: str, **others: str) -> None:
            ended = run_passona(words, tmp_path, environment(**others))
            assert ended.returncode == 0, ended.stderr

        run("load", *([] if engine == "postgres" else ["--publish", "readers.duckdb"]))
        for _ in range(ROUNDS):
            (tmp_path / "clicks.csv").write_text(csv)  # now, so that it is newer than what is loaded
            killed = Begun(arguments, tmp_path, environment(**own))
            while not killed.ended and not is_writing(tmp_path):
                pass
            killed.kill()
            if verb == "publish":
                with duckdb.connect(str(tmp_path / "readers.duckdb"), read_only=True) as readers:
                    assert readers.sql("SELECT count(*) FROM passona.clicks").fetchall() == [(clicks_of(megabytes),)]
            # A re-key that was killed has changed all or nothing: the key of today is one of the two.
            keys = own if verb == "re-key" and key_is_new(warehouse) else {}
            run("load", **keys)
            run("verify", **keys)
            if verb in ("refresh", "import", "transform", "publish"):
                assert_as_served(warehouse, account, [ONE, TWO])
        (tmp_path / "clicks.csv").write_text(csv)
        run(*arguments, **own)  # what was killed can be done again
        if verb != "retention":
            run("load", **(own if verb == "re-key" else {}))
    if verb == "forget":
        gone = "SELECT count(*) FROM passona.{} WHERE {} = '447123400007'"
        assert warehouse.one(gone.format("clicks", "phone_number")) == (0,)
        assert warehouse.one(gone.format("alt_delivery", "mobile")) == (0,)
    if verb == "retention":
        assert warehouse.one("SELECT count(*), count(phone_number) FROM passona.clicks") == (clicks_of(megabytes), 0)


def is_writing(folder: Path) -> bool:
    """Whether a log, or a copy, has begun to grow; on a server whether a transaction has written."""
    if POSTGRES:
        return is_written(folder / "warehouse.duckdb")
    try:
        copies = [*folder.glob(".readers*"), *folder.glob("warehouse.duckdb.work/run.*/rewriting/*")]
        return log_of(folder) > 100_000 or any(file.stat().st_size > 100_000 for file in copies)
    except FileNotFoundError:  # gone between two looks
        return False


def key_is_new(warehouse: Warehouse) -> bool:
    from passona.masking.tokens import Tokens

    return warehouse.one("SELECT key_id FROM passona._privacy") == (Tokens((FORMER.encode(), KEY.encode())).key_id,)


def csv_of(rows: list[dict[str, object]]) -> str:
    lines = [",".join(rows[0]), *(",".join(str(value or "") for value in row.values()) for row in rows)]
    return "\r\n".join(lines) + "\r\n"
