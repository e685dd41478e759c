"""`passona transform`: the dbt project on the warehouse, in this process, with the file held as a load holds it.

    tables of `passona` -> dbt build (pipelines/warehouse) -> schema `analytics`, every test run -> Transformed

dbt opens a file by its own profile, which works because it opens it in the same way (`STORAGE_VERSION`); with a
server it has sessions of its own, under the lock of ours.
What dbt writes beside the warehouse goes to a folder that ends with the run. Its messages may quote rows,
so of a failure no more is told than its name, its kind and its number of rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from passona.config.address import Address, exists
from passona.config.dbt_project import project_folder
from passona.config.environment import isolated_environment
from passona.errors import ConfigurationError, Exit, PassonaError, is_interruption
from passona.warehouse.connection import tables_of
from passona.warehouse.database import Database, open_database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ownership import model_names
from passona.warehouse.verification import INTERRUPTED, unverified

if TYPE_CHECKING:
    from dbt.artifacts.schemas.results import NodeResult

log = logging.getLogger("passona")

SCHEMA = "analytics"
_BUILT = ("model", "seed")
_TESTS = ("test", "unit_test")
# What the project, or the database, says of an object of the user: names of tables, columns and views alone.
_OBSTACLE = re.compile(r"\S+ is in the way: .*|\S.* (?:depends on (?:column|table|view)|entries that depend on it).*")
# dbt's semaphores have a process that tidies up after them, and complains where a signal ended the program first.
_TRACKER_KEEPS_QUIET = "ignore:resource_tracker:UserWarning"


class NotBuilt(PassonaError):  # noqa: N818  # named for what happened, as all errors are
    """dbt could not even begin. Nothing was built; what was built before stays."""


@dataclass(frozen=True)
class BuildRequest:
    """What the user asked of a transformation. `select`: dbt's selectors; none: all models."""

    full_refresh: bool = False
    select: tuple[str, ...] = ()


@dataclass
class Transformed:
    """What a transformation did. Lines of `failures` and `warnings` name a model or a test each."""

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
    """Nothing, where dbt can be imported, with what it needs for this warehouse.

    :raises ConfigurationError: it cannot; says what to install.
    """
    extra, adapter = ("warehouse", "duckdb") if isinstance(address, Path) else ("postgres", "postgres")
    if importlib.util.find_spec("dbt") is None or importlib.util.find_spec(f"dbt.adapters.{adapter}") is None:
        raise ConfigurationError(f"dbt is not installed: pip install 'passona-warehouse[{extra}]'")


def transform(
    address: Address, timezone: str, wait: float, notify: Callable[[str], None], wanted: BuildRequest
) -> Transformed:
    """Builds and tests the models on the warehouse at `address`; what failed is in the outcome.

    `timezone`: of the account, whose hours `campaign_hours` counts by. `wait`: seconds for whoever holds the file.

    :raises Busy: it is still held after that.
    :raises ConfigurationError: there is no warehouse, or dbt is not installed.
    :raises NotBuilt: dbt could not begin, such as with a selector that it does not understand.
    """
    check_installed(address)
    if not exists(address):
        raise ConfigurationError(f"there is no warehouse at {address}: run passona load first")
    with closing(open_database(address, wait, notify)) as database:
        database.prepare()
        return build(database, timezone, wanted)


def check_models(database: Database) -> None:
    """Nothing, where no object of the user is in the way of a model. Changes nothing.

    :raises ConfigurationError: one is; names it.
    """
    database.inventory().check(model_names(project_folder()))


def build(database: Database, timezone: str, wanted: BuildRequest) -> Transformed:
    """The same on a warehouse that is open.

    :raises ConfigurationError: an object of the user is in the way of a model.
    :raises NotBuilt: as above.
    """
    check_models(database)
    begun = time.monotonic()
    run_id = str(uuid.uuid4())
    database.tune(Workload.TRANSFORM)
    outcome = Transformed(warnings=_left_as_they_were(database))
    database.begin_run(run_id, "transform")
    try:
        for result in _build(database, timezone, wanted):
            _take(outcome, result)
    except BaseException as error:
        database.end_run(run_id, "interrupted" if is_interruption(error) else "error", 0, 0)
        raise
    database.end_run(run_id, outcome.word, 0, 0)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _left_as_they_were(database: Database) -> list[str]:
    """Lines on campaigns that may be half written; the project does not touch what it built of them before."""
    reports: defaultdict[str, list[str]] = defaultdict(list)
    for campaign_id, report in unverified(database.connection):
        reports[campaign_id].append(report)
    return [
        f"campaign {campaign_id}, {', '.join(names)}: {INTERRUPTED}; its marts stay as they were, and a full build "
        "leaves it out: run passona load"
        for campaign_id, names in reports.items()
    ]


def _build(database: Database, timezone: str, wanted: BuildRequest) -> Sequence[NodeResult]:
    """Everything that dbt built or tested, in its order."""
    project, folder = project_folder(), database.work.folder("dbt")
    with (
        # What it says before it has read that it is to be quiet. Not closed: dbt keeps it from its import on.
        contextlib.redirect_stdout(Path(os.devnull).open("w")),
        database.engine.dbt() as (target, environment),
        # dbt reads a variable for each of its options (DBT_EMPTY), and the profile reads those of libpq.
        isolated_environment(PYTHONWARNINGS=_TRACKER_KEEPS_QUIET, **environment),
    ):
        # Importing dbt takes two seconds.
        from dbt.cli.main import dbtRunner

        variables = {"timezone": timezone, "project_version": _version(project, timezone)}
        # What another project built may have other columns, or the same rows with other figures.
        anew = wanted.full_refresh or _built_version(database) != variables["project_version"]
        arguments = [
            "build",
            *("--project-dir", str(project), "--profiles-dir", str(project), "--target", target),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
            *("--log-level", "none", "--log-level-file", "none", "--quiet", "--no-print", "--no-use-colors"),
            *("--no-send-anonymous-usage-stats", "--no-version-check", "--no-partial-parse", "--no-write-json"),
            *("--vars", orjson.dumps(variables).decode()),
            *(["--full-refresh"] if anew else []),
            *(["--select", *wanted.select] if wanted.select else []),
        ]
        ended = dbtRunner().invoke(arguments)
    results: Any = getattr(ended.result, "results", None)
    if results is None:
        raise NotBuilt(f"dbt could not begin: {_first_words(str(ended.exception))}") from ended.exception
    if wanted.select and not results:
        raise ConfigurationError(f"--select {' '.join(wanted.select)}: the project has nothing of that name")
    found: Sequence[NodeResult] = results
    return found


def _take(outcome: Transformed, result: NodeResult) -> None:
    """Counts one result, and tells of it where it is not as it should be."""
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
    return f"{result.failures or 0:,} row{'' if result.failures == 1 else 's'}"


def _kind(message: str) -> str:
    """What the database said, by its kind: its words may quote a row."""
    found = re.search(r"^\s*((?:\w+ ){1,3}Error)\b", message.partition("\n")[2], re.MULTILINE)
    return f"{found[1] if found else 'error'}; --debug shows more"


def _first_words(message: str) -> str:
    return " ".join(message.split())[:300]


def _built_version(database: Database) -> str | None:
    """The state of the project by which all was built at last; None if there was no such build."""
    if "int_built_project" not in tables_of(database.connection, "analytics_staging"):
        return None
    ((version,),) = database.connection.execute(
        "SELECT project_version FROM analytics_staging.int_built_project"
    ).fetchall()
    return str(version)


def _version(project: Path, timezone: str) -> str:
    """A digest of the project's files and of what it is told."""
    digest = hashlib.blake2b(timezone.encode(), digest_size=8)
    # dbt by hand leaves copies of them in target/, and folders of those names.
    files = (file for file in project.rglob("*") if file.relative_to(project).parts[0] != "target")
    for file in sorted(files):
        if file.suffix in (".sql", ".csv", ".yml"):
            digest.update(file.relative_to(project).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
