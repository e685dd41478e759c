"""What DuckDB and Postgres do differently: all that the rest of the program knows of either.

address -> DuckDBFile | PostgresServer (this protocol) -> database.Database
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from passona.config.address import Address
from passona.warehouse._work_folder import WorkFolder
from passona.warehouse.connection import Connection
from passona.warehouse.ownership import Relations


class Workload(enum.Enum):
    """What the database is about to do, for engines that are tuned by the session."""

    WALK = "packages are written while reports are walked"
    WRITE = "the last package is written, nothing is walked"
    REBUILD = "whole tables are changed"
    TRANSFORM = "models are built"


@dataclass(frozen=True)
class Checkpointed:
    """A warehouse whose file holds all that was written, and that nobody writes to: it can be copied from `file`."""

    path: Path
    connection: Any
    file: int


class Engine(Protocol):
    """A warehouse that this run holds, alone, until `close`.

    `work`: its work folder. `settings`: SQL statements that prepare a session for a workload.
    `indexes`: SQL statements, to be repeated without harm, that follow the creation of the tables.
    `out_of_memory`: errors after which a package may succeed with the settings of `Workload.REBUILD`.
    `dbt_target`: the target of the project's profile (pipelines/warehouse/profiles.yml).
    """

    @property
    def connection(self) -> Connection: ...

    @property
    def settings(self) -> Mapping[Workload, Sequence[str]]: ...

    @property
    def indexes(self) -> Sequence[str]: ...

    @property
    def out_of_memory(self) -> tuple[type[Exception], ...]: ...

    @property
    def dbt_target(self) -> str: ...

    @property
    def address(self) -> Address: ...

    @property
    def work(self) -> WorkFolder: ...

    def destination(self) -> Any:
        """Return the dlt destination."""

    def relations(self) -> Relations:
        """Return what the schemas that this program writes to hold (`ownership.SCHEMAS`)."""

    def sha256(self, text: str) -> str:
        """Return SQL that computes the digest of a text, in hexadecimal."""

    def dbt(self) -> AbstractContextManager[dict[str, str]]:
        """Give the environment by which dbt finds the same warehouse in this block."""

    def checkpointed(self) -> Checkpointed:
        """Return the warehouse with all that was written in its file, to be copied while this run holds it.

        :raises ConfigurationError: it cannot be copied.
        :raises NotWritten: its log could not be written into its file.
        """

    def rewrite(self, gone: Sequence[str], wait: float, notify: Callable[[str], None]) -> int:
        """Remove deleted rows from the disk, and return the number of bytes searched for the texts in `gone`.

        `connection` is a new one then. Others may hold the warehouse in between, for up to `wait` seconds.

        :raises StillThere: one of these texts is still in its bytes.
        :raises Busy: somebody held it for longer.
        """

    def close(self) -> None:
        """Release the warehouse."""
