"""The interface of DuckDB and Postgres to the rest of the program, and what their dlt destinations share.

address -> DuckDBFile | PostgresServer (this protocol) -> database.Database
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dlt.common.destination import Destination, DestinationCapabilitiesContext

from passona.config.address import Address
from passona.warehouse._work_folder import WorkFolder
from passona.warehouse.connection import Connection
from passona.warehouse.ownership import Relations


class Workload(enum.Enum):
    """What the database is about to do, for engines that are tuned by the session."""

    WALK = "packages are written while reports are walked"
    WRITE = "the last package is written, nothing is walked"
    REBUILD = "whole tables are changed, models are built"


@dataclass(frozen=True)
class Checkpointed:
    """A warehouse whose log is empty and that no process writes to: copy it from the descriptor `file`."""

    path: Path
    connection: Any
    file: int


class Engine(Protocol):
    """A warehouse that this run has locked until `close`.

    `settings`: SQL statements that prepare a session for a workload. `indexes`: re-entrant SQL statements to run once
    the tables exist. `out_of_memory`: errors after which a package may succeed with the settings of `Workload.REBUILD`.
    """

    @property
    def address(self) -> Address: ...

    @property
    def connection(self) -> Connection: ...

    @property
    def work(self) -> WorkFolder: ...

    @property
    def settings(self) -> Mapping[Workload, Sequence[str]]: ...

    @property
    def indexes(self) -> Sequence[str]: ...

    @property
    def out_of_memory(self) -> tuple[type[Exception], ...]: ...

    def destination(self) -> Any:
        """Return the dlt destination."""

    def relations(self) -> Relations:
        """Return all relations of the schemas that this program writes to (`ownership.SCHEMAS`)."""

    def dbt(self) -> AbstractContextManager[tuple[str, dict[str, str]]]:
        """Yield the target of the dbt profile, and the environment in which dbt finds this warehouse."""

    def checkpointed(self) -> Checkpointed:
        """Return the warehouse for copying while this run has it locked.

        :raises ConfigurationError: it cannot be copied.
        :raises NotWritten: its log could not be written into its file.
        """

    def rewrite(self, gone: Sequence[str], wait: float, notify: Callable[[str], None]) -> int:
        """Remove deleted rows from the disk, and return the number of bytes searched for the texts in `gone`.

        Replaces `connection`. Other processes may lock the warehouse in between, for up to `wait` seconds.

        :raises StillThere: one of these texts is still in its bytes.
        """

    def close(self) -> None:
        """Release the warehouse."""


class CachedCapabilities(Destination[Any, Any]):
    """A destination that determines its capabilities once.

    dlt asks for them a hundred times a load and reads its whole configuration each time: a seventh of a small load.
    """

    _cached: DestinationCapabilitiesContext | None = None

    def capabilities(self, config: Any = None, naming: Any = None) -> DestinationCapabilitiesContext:
        if config is not None or naming is not None:
            return super().capabilities(config, naming)
        if self._cached is None:
            self._cached = super().capabilities()
        return self._cached.copy()
