"""Where the warehouse is: a DuckDB file, a Postgres database or a lake, as dlt's configuration names it.

destination.warehouse (type, credentials, bucket_url) -> warehouse_address -> a path, a Server or a Lake
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from dlt.destinations.impl.postgres.configuration import PostgresCredentials

from passona.configuration import configuration, object_store
from passona.errors import ConfigurationError
from passona.schema import DATASET
from passona.spelling import WAREHOUSE
from passona.store import Store

_SECTION = "destination.warehouse"
_CREDENTIALS = f"{_SECTION}.credentials"
# A day: longer than any query over a lake takes, and than any load needs from the first file of a package to its
# ledger; a lake whose open reports change every night is twice as large by it as it need be, for those reports.
_GRACE_HOURS = 24
_FORM = "postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class Server:
    """A database of a Postgres server; the dataset is its schema `passona`. Shown without user and password."""

    credentials: PostgresCredentials = field(repr=False)

    def __str__(self) -> str:
        found = self.credentials
        return f"postgresql://{found.host}:{found.port}/{found.database}"

    @property
    def name(self) -> str:
        """What its files on this machine are called by."""
        found = self.credentials
        return re.sub(r"[^0-9A-Za-z.-]", "_", f"{found.database}.{found.host}.{found.port}")


@dataclass(frozen=True)
class Lake:
    """A folder, or a place in an object store, that holds the tables as Parquet files.

    `url`: a path, or an address such as s3://bucket/folder. `grace`: how long what was replaced is kept for who
    still reads it, and what a killed load left is taken for what another is writing.
    """

    url: str
    grace: timedelta = timedelta(hours=_GRACE_HOURS)

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """What its files on this machine are called by."""
        return re.sub(r"[^0-9A-Za-z.-]+", "_", self.url).strip("_.")[-100:]

    @property
    def spark_url(self) -> str:
        """Its address as Spark is to open it."""
        return re.sub("^s3:", "s3a:", self.url) if "://" in self.url else f"file://{self.url}"

    def store(self) -> Store:
        """Where its objects are.

        :raises ConfigurationError: a package or credentials are missing.
        """
        files, root = object_store(self.url, _SECTION)
        return Store(files, root.rstrip("/"), local="://" not in self.url)


Address = Path | Server | Lake


def warehouse_address() -> Address:
    """The warehouse that dlt's configuration names by destination `warehouse`; warehouse.duckdb if none.

    :raises ConfigurationError: another kind of destination, or a name that cannot work.
    """
    found = configuration()
    kind = str(found.value((*WAREHOUSE, "destination_type")) or "duckdb")
    credentials: Any = found.value((*WAREHOUSE, "credentials"))
    match kind.rpartition(".")[2]:
        case "duckdb":
            return _file(credentials)
        case "postgres":
            return _server(credentials)
        case "filesystem":
            return _lake()
    raise ConfigurationError(
        f"destination.warehouse.destination_type: {kind!r} is not supported; use duckdb, postgres or filesystem"
    )


def exists(address: Address) -> bool:
    """Whether there is a warehouse; what a server or a lake holds is seen when it is opened."""
    return not isinstance(address, Path) or address.is_file()


def check_no_lake(address: Address, what: str) -> None:
    """Nothing, where the warehouse is a database.

    :raises ConfigurationError: it is a lake. `what`: what cannot be done with one, and what to do instead.
    """
    if isinstance(address, Lake):
        raise ConfigurationError(f"{address} is a lake: {what}")


def check_driver() -> None:
    """Nothing, where psycopg2 can be imported, by which all here speak to Postgres.

    :raises ConfigurationError: it cannot; says what to install.
    """
    if importlib.util.find_spec("psycopg2") is None:
        raise ConfigurationError(
            "destination.warehouse.destination_type is postgres, and its driver is not installed: "
            "pip install 'passona-warehouse[postgres]'"
        )


def _file(credentials: Any) -> Path:
    if isinstance(credentials, dict):
        credentials = credentials.get("database", "")
    name = re.sub(r"^duckdb:(///?)?", "", str(credentials or "warehouse.duckdb"))
    path = Path(name)
    if name.startswith(("postgres://", "postgresql://")):
        raise ConfigurationError(
            f"{_CREDENTIALS}: expected the path of a DuckDB file, got the address of a Postgres database; set "
            "DESTINATION__WAREHOUSE__DESTINATION_TYPE=postgres too"
        )
    if not path.name or "://" in name:
        raise ConfigurationError(f"{_CREDENTIALS}: expected the path of a DuckDB file")
    if name.lower().startswith((":memory:", "md:", "motherduck:")):
        raise ConfigurationError(
            f"{_CREDENTIALS}: expected the path of a DuckDB file, got a database in memory or at MotherDuck, which is "
            "not supported"
        )
    if name != str(credentials) and "?" in name:
        raise ConfigurationError(f"{_CREDENTIALS}: expected duckdb:///PATH alone, got a query (?...) too; leave it out")
    # DuckDB's name of a file is what stands before its first dot, whatever the case.
    if path.name.lstrip(".").partition(".")[0].lower() == DATASET:
        raise ConfigurationError(
            f"{path.name} cannot be the warehouse: DuckDB cannot tell a file called {DATASET} from the dataset "
            f"{DATASET} in it; choose another name, such as warehouse.duckdb"
        )
    return path.absolute()


def _server(credentials: Any) -> Server:
    if not credentials:
        raise ConfigurationError(
            f"{_CREDENTIALS}: expected {_FORM}, got nothing; set DESTINATION__WAREHOUSE__CREDENTIALS"
        )
    if isinstance(credentials, str) and not re.match(r"postgres(ql)?://", credentials):
        raise ConfigurationError(f"{_CREDENTIALS}: expected {_FORM}, got something else")
    try:
        found = PostgresCredentials(credentials)
        found.resolve()
    except Exception as error:
        raise ConfigurationError(f"{_CREDENTIALS}: expected {_FORM}, got what cannot be read as that") from error
    missing = [name for name in ("host", "database", "username") if not getattr(found, name)]
    if missing:
        raise ConfigurationError(f"{_CREDENTIALS}: expected {_FORM}, got no {', no '.join(missing)}")
    return Server(found)


def _lake() -> Lake:
    url = configuration().value((*WAREHOUSE, "bucket_url"))
    if not url:
        raise ConfigurationError(
            f"{_SECTION}.bucket_url: expected a folder, or an address such as s3://bucket/folder, got nothing; set "
            "DESTINATION__WAREHOUSE__BUCKET_URL"
        )
    url = re.sub(r"^file:(//)?(?=/)", "", url).rstrip("/")
    if "://" not in url:
        url = str(Path(url).absolute())
    if re.search(r"""['"`?*\[\]{}\\]""", url):
        raise ConfigurationError(f"{_SECTION}.bucket_url: expected no quotation marks and none of ?*[]{{}} in it")
    try:
        hours = float(configuration().value((*WAREHOUSE, "grace_hours")) or _GRACE_HOURS)
    except ValueError:
        hours = 0
    if not 1 <= hours <= 24 * 365:
        raise ConfigurationError(f"{_SECTION}.grace_hours: expected a number of hours from 1 to 8760")
    return Lake(url, timedelta(hours=hours))
