"""A warehouse of a test: loads into it, and whole tables to compare."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passona.config.address import Address
from passona.config.settings import Settings
from passona.reports.definitions import REPORTS, Report
from passona.source.pages import Page
from passona.warehouse.database import open_database
from passona.warehouse.load import Load, LoadRequest
from passona.warehouse.run import Outcome
from passona_sandbox import Sandbox
from support.engines import address_of, destination_of, reading

GUIDE = "dc8a7564-fb1e-11e9-abb5-0242ac120008"


@dataclass
class Lines:
    """A watcher of loads that keeps what is said."""

    said: list[str] = field(default_factory=list)
    pages: int = 0

    def planned(self, tasks: Sequence[Any]) -> None: ...

    def page(self, report: Report, page: Page) -> None:
        self.pages += 1

    def walked(self, task: Any) -> None: ...

    def waiting(self, line: str) -> None: ...

    def rows(self, report: Report, count: int) -> None: ...

    def notify(self, line: str) -> None:
        self.said.append(line)


@dataclass
class Warehouse:
    """The warehouse of a test, and ways to load and to read it. On Postgres its path stands for a database."""

    path: Path

    @property
    def address(self) -> Address:
        return address_of(self.path)

    def load(self, box: Sandbox, *uuids: str, reports: Sequence[str] = tuple(REPORTS), **options: Any) -> Outcome:
        """One load in this process, as `passona load` does it. `clock`: this machine's; `lines`: hear what is said; `wait`:
        seconds for whoever holds the warehouse.
        """
        clock, lines = options.pop("clock", None), options.pop("lines", None) or Lines()
        wait = options.pop("wait", 0)
        wishes = {name: options.pop(name) for name in ("since", "refresh", "accept_shrink") if name in options}
        settings = Settings(box.token, **({"base_url": box.base_url, "retry_pause": 0.01} | options))
        database = open_database(self.address, wait, lines.notify)
        try:
            request = LoadRequest(uuids, tuple(REPORTS[name] for name in reports), **wishes)
            return Load([settings], database, request, lines, clock).run()
        finally:
            database.close()

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with reading(self.path, sql) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def one(self, sql: str, *parameters: Any) -> tuple[Any, ...]:
        (row,) = self.rows(sql, *parameters)
        return row

    def count(self, table: str) -> int:
        return int(self.one(f"SELECT count(*) FROM passona.{table}")[0])

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """All of a table but what belongs to dlt, in the order of its values."""
        columns = self.rows(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = 'passona' AND table_name = ? AND column_name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY ordinal_position",
            name,
        )
        return sorted(
            self.rows(f"SELECT {', '.join(f'{c}::VARCHAR' for (c,) in columns)} FROM passona.{name}"), key=repr
        )

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """All tables of data, whole, without those that tell of runs."""
        names = [name for (name,) in self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'passona' "
            "AND table_name NOT LIKE '\\_%' ESCAPE '\\' AND table_name NOT IN ('runs', 'report_ledger')"
        )]  # fmt: skip
        return {name: self.table(name) for name in names}


def environment_of(box: Sandbox | None, folder: Path | None = None) -> dict[str, str]:
    """What a command finds in its environment. `folder`: where it runs, if it is to find its warehouse."""
    kept = {name: value for name, value in os.environ.items() if "__" not in name}
    kept |= destination_of(folder) if folder else {}
    if box is None:
        return kept
    return kept | {
        "SOURCES__PASSONA__API_TOKEN": box.token,
        "SOURCES__PASSONA__BASE_URL": box.base_url,
        "SOURCES__PASSONA__RETRY_PAUSE": "0.01",
    }


def accounts_of(boxes: Mapping[str, Sandbox]) -> dict[str, str]:
    """The variables that configure an account for each server."""
    variables = {"SOURCES__PASSONA__RETRY_PAUSE": "0.01"}
    for name, box in boxes.items():
        section = f"SOURCES__PASSONA__ACCOUNTS__{name.upper()}"
        variables |= {f"{section}__API_TOKEN": box.token, f"{section}__BASE_URL": box.base_url}
    return variables
