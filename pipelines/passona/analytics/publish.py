"""`passona publish`: a consistent copy of the warehouse for readers, put in place whole.

    checkpointed warehouse -> copy -> verified against the ledger -> renamed to PATH

DuckDB allows no reader while a process writes. Readers of the copy never wait, and loads never wait for them. The
warehouse stays locked until the copy is in place, so of two copies the later one is newer.
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from passona.analytics._marts_file import copy_marts, is_half_built, left_out
from passona.analytics._table_copy import made_by_users, write_copy
from passona.analytics.target import check_unwritten
from passona.config.address import Address
from passona.errors import ConfigurationError, Exit, PassonaError
from passona.masking.messages import counted, reason
from passona.masking.policy import CLEAR, Privacy
from passona.warehouse.accounts import account_of_copy, campaigns_of
from passona.warehouse.atomic_file import AtomicFile
from passona.warehouse.connection import literal, tables_of
from passona.warehouse.engines.duckdb_file import open_checkpointed
from passona.warehouse.engines.duckdb_rewriting import STORAGE_VERSION
from passona.warehouse.engines.engine import Checkpointed
from passona.warehouse.ledger_table import Ledger
from passona.warehouse.policy_table import mode_of_copy
from passona.warehouse.verification import INTERRUPTED, differences, read_every_block, unverified

# Signals are handled between two pieces.
PIECE_BYTES = 16 * 1024 * 1024


class NotPublished(PassonaError):  # noqa: N818  # named for what happened, as all errors are
    """The warehouse, or the copy made of it, does not agree with its ledger. The old copy stays."""

    exit_code = Exit.FAILED


@dataclass(frozen=True)
class Published:
    """A published copy. `reports`: verified reports of campaigns.

    `left_out`: marts that `--marts-only` skips, or users' own objects that `--privacy` and `--account` skip; None for a
    full copy. `privacy`: the mode of the copy, if it is not the warehouse's. `account`: the only one whose data it has.
    """

    path: Path
    bytes: int
    reports: int
    seconds: float
    left_out: tuple[str, ...] | None = None
    privacy: str | None = None
    account: str | None = None
    marts_only: bool = False


@dataclass(frozen=True)
class Unpublished:
    """Why a load published no copy. `exit_code`: 0 if it did not try."""

    reason: str
    exit_code: Exit = Exit.OK

    @property
    def word(self) -> str:
        return "error" if self.exit_code else "skipped"


def publish_warehouse(
    warehouse: Address,
    place: AtomicFile,
    wait: float,
    notify: Callable[[str], None],
    *,
    marts_only: bool,
    privacy: Privacy = CLEAR,
    account: str | None = None,
) -> Published:
    """Publish the warehouse at this address. Meanwhile it is open to readers, and locked for writers.

    :raises ConfigurationError: there is no warehouse, no ledger or no such account, the old copy has a write-ahead
        log, or `privacy` is for a clear warehouse and this one is not.
    :raises NotPublished, HalfBuilt: its contents do not agree with the ledger, or with each other.
    """
    with open_checkpointed(warehouse, wait, notify) as source:
        return publish(source, place, marts_only=marts_only, privacy=privacy, account=account)


def publish(
    source: Checkpointed,
    place: AtomicFile,
    *,
    marts_only: bool,
    privacy: Privacy = CLEAR,
    account: str | None = None,
) -> Published:
    """Publish a locked warehouse. Whatever fails, the old copy stays.

    `privacy`: the mode of the copy, if it stores less about people than the warehouse. `account`: whose data it has, if
    not those of all.

    :raises ConfigurationError, NotPublished, HalfBuilt: as above.
    :raises OSError: the copy could not be written.
    """
    started = time.monotonic()
    _check_same_account(place.path, account)
    with place.part() as part:
        with _read("the warehouse"):
            _check_verified(source.connection, account)
        if marts_only:
            with _read("the warehouse"):
                reports = _check(source.connection, campaigns_of(source.connection, account))
            _write_marts(source, part, account)
        elif account is not None or not privacy.is_clear:
            _write_tables(source, part, privacy, account)
            reports = _check_file(part)
        else:
            _copy(source.file, part)
            reports = _check_file(part)
        size = part.stat().st_size
        check_unwritten(place.path)
    omitted = left_out(source.connection) if marts_only else None
    if not marts_only and (account is not None or not privacy.is_clear):
        omitted = tuple(map(privacy.new_name, made_by_users(source.connection)))
    mode = None if privacy.is_clear else privacy.mode
    return Published(place.path, size, reports, time.monotonic() - started, omitted, mode, account, marts_only)


def _check_same_account(path: Path, account: str | None) -> None:
    """Refuse to replace the copy of one account by that of another, or of all: its readers may read only that one."""
    if not path.exists():
        return
    with closing(duckdb.connect(config={"temp_directory": ""})) as connection, suppress(duckdb.Error):
        connection.execute(f"ATTACH {literal(str(path))} AS copied (READ_ONLY)")
        connection.execute("USE copied")
        old = account_of_copy(connection)
        if old is not None and old != account:
            raise ConfigurationError(
                f"{path}: it is a copy of account {old}; publish it with --account {old}, or remove it first"
            )


def _copy(source: int, part: Path) -> None:
    """Copy the file behind the descriptor `source`.

    The file is not opened by name: closing it again would release DuckDB's lock.
    """
    with os.fdopen(source, "rb", closefd=False) as original, part.open("r+b") as file:
        original.seek(0)
        shutil.copyfileobj(original, file, PIECE_BYTES)


def _write_marts(source: Checkpointed, part: Path, account: str | None) -> None:
    part.unlink()  # DuckDB creates the file itself
    with _read("the warehouse"):
        copy_marts(source.connection, part, STORAGE_VERSION, account)


def _write_tables(source: Checkpointed, part: Path, privacy: Privacy, account: str | None) -> None:
    mode, _ = mode_of_copy(source.connection) or ("clear", None)
    if mode != "clear" and not privacy.is_clear:
        raise ConfigurationError(
            f"--privacy {privacy.mode}: the warehouse is {mode} already, and so is a copy of it: leave --privacy out"
        )
    with _read("the warehouse"):
        left = write_copy(source.connection, part, privacy, account)
    if left:
        raise NotPublished(
            f"{left:,} of the texts of the copy (comments on tables among them) would tell phones of people; the old "
            "copy stays, take them out of the comments"
        )


def _check_file(part: Path) -> int:
    with closing(duckdb.connect(config={"temp_directory": ""})) as connection, _read("the copy"):
        connection.execute(f"ATTACH {literal(str(part))} AS copied (READ_ONLY)")
        connection.execute("USE copied")
        read_every_block(connection, "copied")
        return _check(connection)


@contextmanager
def _read(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise NotPublished(f"{what} cannot be read, the old copy stays: {reason(error)}") from error


def _check_verified(connection: duckdb.DuckDBPyConnection, account: str | None) -> None:
    """Refuse a warehouse with a report that may be half written, or with marts of an interrupted build.

    `account`: whose reports count, and which it must have; None for all.
    """
    if "report_ledger" not in tables_of(connection, "passona"):
        raise ConfigurationError("the warehouse holds no report_ledger: run passona load first")
    campaigns = campaigns_of(connection, account)
    reports = [key for key in unverified(connection) if campaigns is None or key[0] in campaigns]
    if reports:
        (campaign_id, report), others = reports[0], len(reports) - 1
        more = f" and of {counted(others, 'more report')}" if others else ""
        raise NotPublished(
            f"campaign {campaign_id}, {report}: {INTERRUPTED}{more}; the old copy stays, run passona load"
        )
    if is_half_built(connection):
        raise NotPublished("a build of the models was interrupted; the old copy stays, run passona transform")


def _check(connection: duckdb.DuckDBPyConnection, campaigns: Collection[str] | None = None) -> int:
    """Compare the rows with the ledger; return the number of verified reports. `campaigns`: None for all."""
    for difference in differences(connection, digests=False):
        if campaigns is None or difference.campaign_id in campaigns:
            raise NotPublished(f"{difference}; the old copy stays, run passona verify and then passona load")
    entries = [entry for entry in Ledger(connection).values() if campaigns is None or entry.campaign_id in campaigns]
    return sum(entry.verified_at is not None for entry in entries)
