"""Locate the warehouse, a DuckDB file or a Postgres database, from dlt's configuration.

destination.warehouse (type, credentials) -> warehouse_address -> a path or a Server
"""

import importlib.util
import os
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dlt.destinations.impl.postgres.configuration import PostgresCredentials

from passona.config._misspellings import WAREHOUSE
from passona.config.configuration import configuration
from passona.config.path_syntax import catalog_name
from passona.errors import ConfigurationError

_CREDENTIALS = "destination.warehouse.credentials"
# Schemas that users name in queries.
_SCHEMAS = ("passona", "analytics", "analytics_staging")
_FORM = "postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class Server:
    """A database of a Postgres server; the dataset is its schema `passona`. Printed without user and password."""

    credentials: PostgresCredentials = field(repr=False)

    def __str__(self) -> str:
        return f"postgresql://{self.credentials.host}:{self.credentials.port}/{self.credentials.database}"

    @property
    def name(self) -> str:
        """Return a name for its files on this machine."""
        name = f"{self.credentials.database}.{self.credentials.host}.{self.credentials.port}"
        return re.sub(r"[^0-9A-Za-z.-]", "_", name)


Address = Path | Server


def warehouse_address() -> Address:
    """Return the address of dlt's destination `warehouse`; warehouse.duckdb by default.

    :raises ConfigurationError: the destination is of another type, or its address cannot work.
    """
    config = configuration()
    kind = str(config.value((*WAREHOUSE, "destination_type")) or "duckdb")
    credentials: Any = config.value((*WAREHOUSE, "credentials"))
    match kind.rpartition(".")[2]:
        case "duckdb":
            return _file(credentials)
        case "postgres":
            return _server(credentials)
    raise ConfigurationError(
        f"destination.warehouse.destination_type: {kind!r} cannot hold the warehouse; use duckdb or postgres, and "
        "passona publish for a copy that others read"
    )


def exists(address: Address) -> bool:
    """Return False if the file does not exist. A server is checked when it is opened."""
    return not isinstance(address, Path) or address.is_file()


def check_exists(address: Address) -> None:
    """Check that there is a warehouse.

    :raises ConfigurationError: there is none.
    """
    if not exists(address):
        raise ConfigurationError(f"there is no warehouse at {address}: run passona load first")


def existing_warehouse() -> Address:
    """Return the address of the warehouse. Raises like `warehouse_address` and `check_exists`."""
    address = warehouse_address()
    check_exists(address)
    return address


def check_driver() -> None:
    """Check that psycopg2 is installed.

    :raises ConfigurationError: it is not.
    """
    if importlib.util.find_spec("psycopg2") is None:
        raise ConfigurationError(
            "destination.warehouse.destination_type is postgres, and its driver is not installed: "
            "pip install 'passona-warehouse[postgres]'"
        )


def check_file_name(path: Path, role: str, example: str) -> None:
    """Check that a query can name the file's tables by schema and name.

    :raises ConfigurationError: DuckDB would confuse the file with a schema, or cannot open it.
    """
    name = catalog_name(path)
    if name in _SCHEMAS:
        raise ConfigurationError(
            f"{path.name} cannot be {role}: DuckDB cannot tell a file called {name} from the schema {name} in it; "
            f"choose another name, such as {example}"
        )
    if "?" in os.path.realpath(path.parent):
        raise ConfigurationError(
            f"{role} cannot be in a folder with a ? in its name, where DuckDB expects parameters; choose another"
        )
    if "\\" in os.path.realpath(path) and int(version("duckdb").partition(".")[0]) >= 2:
        raise ConfigurationError(
            f"{role} cannot be at a path with a \\, which DuckDB 2 takes for a /; choose another path"
        )
    try:
        os.path.realpath(path).encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{role} cannot be at a path that is not UTF-8 text, which DuckDB cannot open; choose another path"
        ) from None


def _file(credentials: Any) -> Path:
    if isinstance(credentials, dict):
        if "database" not in credentials:
            raise ConfigurationError(
                f"{_CREDENTIALS}: expected the path of a DuckDB file as database, got {', '.join(credentials)}"
            )
        credentials = credentials["database"]
    name = re.sub(r"^duckdb:(///?)?", "", str(credentials or "warehouse.duckdb"))
    path = Path(name)
    has_query = name != str(credentials) and "?" in name
    if not path.name or "://" in name or name.lower().startswith((":memory:", "md:", "motherduck:")) or has_query:
        raise ConfigurationError(
            f"{_CREDENTIALS}: expected the path of a DuckDB file (not in memory, not at MotherDuck), got something "
            "else; for a Postgres database set DESTINATION__WAREHOUSE__DESTINATION_TYPE=postgres too"
        )
    check_file_name(path, "the warehouse", "warehouse.duckdb")
    return real_path(path)


def real_path(path: Path) -> Path:
    """Resolve links, because DuckDB's log and lock, and a replacement, belong beside the file itself.

    :raises ConfigurationError: the link leads to itself.
    """
    try:
        return path.resolve(strict=path.is_symlink() and path.exists())
    except (OSError, RuntimeError):  # RuntimeError: before Python 3.13
        raise ConfigurationError(f"{path} is a link that leads to itself; name the file") from None


def _server(credentials: Any) -> Server:
    if not credentials or (isinstance(credentials, str) and not re.match(r"postgres(ql)?://", credentials)):
        raise ConfigurationError(
            f"{_CREDENTIALS}: expected {_FORM}, got {'something else' if credentials else 'nothing'}"
        )
    try:
        resolved = PostgresCredentials(credentials)
        resolved.resolve()
    except Exception as error:
        raise ConfigurationError(f"{_CREDENTIALS}: expected {_FORM}, got what cannot be read as that") from error
    missing = [name for name in ("host", "database", "username") if not getattr(resolved, name)]
    if missing:
        raise ConfigurationError(f"{_CREDENTIALS}: expected {_FORM}, got no {', no '.join(missing)}")
    return Server(resolved)
