"""`passona transform`: run the dbt project on the warehouse, in this process.

    tables of `passona` -> dbt build with all tests (pipelines/warehouse) -> schema `analytics`

The warehouse is locked as during a load. dbt opens a file with its own profile, which works because the options are the
same (`STORAGE_VERSION`); on a server it has its own sessions, under our lock. Its artifacts go to a temporary folder.
Its messages may quote rows, so a failure is reported by name, kind and number of rows only.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from passona.config.address import Address, check_exists
from passona.config.dbt_project import project_folder
from passona.config.environment import isolated_environment
from passona.config.settings import DEFAULT_ACCOUNT
from passona.errors import ConfigurationError, Exit, PassonaError
from passona.masking.messages import counted
from passona.warehouse.connection import tables_of
from passona.warehouse.database import Database, open_database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ownership import model_names
from passona.warehouse.run_record import RunRecord
from passona.warehouse.verification import INTERRUPTED, unverified

if TYPE_CHECKING:
    from dbt.artifacts.schemas.results import NodeResult

log = logging.getLogger("passona")

SCHEMA = "analytics"
_BUILT = ("model", "seed")
_TESTS = ("test", "unit_test")
# Messages about a user's objects; they have only names of tables, columns and views.
_OBSTACLE = re.compile(r"\S+ is in the way: .*|\S.* (?:depends on (?:column|table|view)|entries that depend on it).*")
# The process that cleans up dbt's semaphores complains if a signal ends the program first.
_QUIET_TRACKER = "ignore:resource_tracker:UserWarning"


class NotBuilt(PassonaError):  # noqa: N818  # named for what happened, as all errors are
    """dbt could not start. Nothing was built; earlier marts stay."""


@dataclass
class Transformed:
    """What a transformation did. Each line of `failures` and `warnings` names a model or a test."""

    built: int = 0
    passed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exits: set[Exit] = field(default_factory=set)

    @property
    def exit_code(self) -> Exit:
        return min(self.exits, default=Exit.OK)

    @property
    def word(self) -> str:
        return self.exit_code.word


def check_installed(address: Address) -> None:
    """Check that dbt and its adapter for this warehouse are installed.

    :raises ConfigurationError: they are not; it says what to install.
    """
    extra, adapter = ("warehouse", "duckdb") if isinstance(address, Path) else ("postgres", "postgres")
    if importlib.util.find_spec("dbt") is None or importlib.util.find_spec(f"dbt.adapters.{adapter}") is None:
        raise ConfigurationError(f"dbt is not installed: pip install 'passona-warehouse[{extra}]'")


def transform(
    address: Address,
    timezones: Mapping[str, str],
    wait: float,
    notify: Callable[[str], None],
    *,
    full_refresh: bool = False,
) -> Transformed:
    """Build and test the models on the warehouse at `address`; the outcome has the failures.

    `timezones`: IANA name of each account's zone, for the hours of `campaign_hours`. An account that is not in it has
    the zone of the account `default`, or else of the first one.

    :raises ConfigurationError: there is no warehouse, or dbt is not installed.
    :raises NotBuilt: dbt could not start.
    """
    check_installed(address)
    check_exists(address)
    with closing(open_database(address, wait, notify)) as database:
        database.prepare()
        return build(database, timezones, full_refresh=full_refresh)


def check_models(database: Database) -> None:
    """Check that no object of the user has the name of a model.

    :raises ConfigurationError: one has.
    """
    database.inventory().check(model_names())


def build(database: Database, timezones: Mapping[str, str], *, full_refresh: bool = False) -> Transformed:
    """Build and test the models on an open warehouse. `full_refresh`: of all campaigns, not only changed ones.

    `timezones`: see `transform`.

    :raises ConfigurationError: an object of the user has the name of a model.
    :raises NotBuilt: dbt could not start.
    """
    check_models(database)
    started = time.monotonic()
    database.tune(Workload.REBUILD)
    outcome = Transformed(warnings=_skipped_campaigns(database))
    with database.run(record := RunRecord("transform")):
        for result in _build(database, timezones, full_refresh=full_refresh):
            _add_result(outcome, result)
        record.outcome = outcome.word
    outcome.seconds = time.monotonic() - started
    return outcome


def _skipped_campaigns(database: Database) -> list[str]:
    """Return a line for each campaign that may be half written; the project keeps its earlier marts."""
    reports: defaultdict[str, list[str]] = defaultdict(list)
    for campaign_id, report in unverified(database.connection):
        reports[campaign_id].append(report)
    return [
        f"campaign {campaign_id}, {', '.join(names)}: {INTERRUPTED}; its marts stay as they were, and a full build "
        "leaves it out: run passona load"
        for campaign_id, names in reports.items()
    ]


def _build(database: Database, timezones: Mapping[str, str], *, full_refresh: bool) -> Sequence[NodeResult]:
    """Run dbt; return what it built and tested, in order."""
    project, folder = project_folder(), database.work.folder("dbt")
    with (
        # dbt prints before it reads --quiet. Not closed: dbt keeps the stream from its import on.
        contextlib.redirect_stdout(Path(os.devnull).open("w")),
        database.engine.dbt() as (target, environment),
        # dbt reads a variable for each of its options (DBT_EMPTY), and the profile reads those of libpq.
        isolated_environment(PYTHONWARNINGS=_QUIET_TRACKER, **environment),
    ):
        # Importing dbt takes two seconds.
        from dbt.cli.main import dbtRunner

        variables = _zone_variables(timezones)
        version = _version(project, variables)
        # Tables of another version of the project may have other columns or figures.
        full_refresh = full_refresh or _built_version(database) != version
        arguments = [
            "build",
            *("--project-dir", str(project), "--profiles-dir", str(project), "--target", target),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
            *("--log-level", "none", "--log-level-file", "none", "--quiet", "--no-print", "--no-use-colors"),
            *("--no-send-anonymous-usage-stats", "--no-version-check", "--no-partial-parse", "--no-write-json"),
            *("--vars", orjson.dumps(variables | {"project_version": version}).decode()),
            *(["--full-refresh"] if full_refresh else []),
        ]
        ended = dbtRunner().invoke(arguments)
    results: Any = getattr(ended.result, "results", None)
    if results is None:
        reason = " ".join(str(ended.exception).split())[:300]
        raise NotBuilt(f"dbt could not begin: {reason}") from ended.exception
    return cast("Sequence[NodeResult]", results)


def _add_result(outcome: Transformed, result: NodeResult) -> None:
    """Count one result, and add a line if it is not a success."""
    kind, name, status = str(result.node.resource_type), result.node.name, str(result.status)
    if status in ("success", "pass"):
        outcome.built += kind in _BUILT
        outcome.passed += kind in _TESTS
    elif status == "skipped":
        outcome.skipped += 1
    elif status == "warn":
        outcome.warnings.append(f"{name}: {_rows(result)}")
    elif status == "fail":
        outcome.failures.append(f"{name}: {_rows(result)}")
        outcome.exits.add(Exit.FAILED)
    else:
        message = result.message or ""
        log.debug("%s: %s", name, message)
        obstacle = _OBSTACLE.search(message)
        outcome.failures.append(f"{kind} {name}: {obstacle[0] if obstacle else _kind(message)}")
        outcome.exits.add(Exit.USAGE if obstacle else Exit.FAULT)


def _rows(result: NodeResult) -> str:
    if str(result.node.resource_type) == "unit_test":
        return "gives other rows than it expects"
    return counted(result.failures or 0, "row")


def _kind(message: str) -> str:
    """Return the kind of the database's error: its message may quote a row."""
    kind = re.search(r"^\s*((?:\w+ ){1,3}Error)\b", message.partition("\n")[2], re.MULTILINE)
    return f"{kind[1] if kind else 'error'}; --debug shows more"


def _built_version(database: Database) -> str | None:
    """Return the version of the project of the last complete build, None if there was none."""
    if "int_built_project" not in tables_of(database.connection, "analytics_staging"):
        return None
    ((version,),) = database.connection.execute(
        "SELECT project_version FROM analytics_staging.int_built_project"
    ).fetchall()
    return str(version)


def _zone_variables(timezones: Mapping[str, str]) -> dict[str, Any]:
    """Return the project's variables: the zone of most accounts, and those of accounts in other zones."""
    usual = timezones.get(DEFAULT_ACCOUNT) or next(iter(timezones.values()))
    return {"timezone": usual, "account_timezones": {name: zone for name, zone in timezones.items() if zone != usual}}


def _version(project: Path, variables: Mapping[str, Any]) -> str:
    """Return a digest of the project's files and of its variables."""
    digest = hashlib.blake2b(orjson.dumps(variables, option=orjson.OPT_SORT_KEYS), digest_size=8)
    # A manual dbt run leaves copies of them in target/.
    files = (file for file in project.rglob("*") if file.relative_to(project).parts[0] != "target")
    for file in sorted(files):
        if file.suffix in (".sql", ".csv", ".yml"):
            digest.update(file.relative_to(project).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
