"""What this program made in the warehouse: everything else is the user's, and is never written, replaced or dropped.

    engine.relations() + passona._objects -> Inventory -> objects that are in the way | objects that are ours

The table `passona._objects` lists what was made: it is written in the transaction that makes the tables of the
dataset, and by the dbt project in the one that makes a model. dlt notes its own tables in `_dlt_version`. A warehouse
of a version without `_objects` is known by either of dlt's notes and `_upgrades`, its tables by their comments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from passona.errors import ConfigurationError
from passona.reports.tables import DATASET, TABLES
from passona.warehouse.connection import Connection, columns_of, tables_of

REGISTER, UPGRADES = "_objects", "_upgrades"
STAGING = f"{DATASET}_staging"
MARTS, MARTS_STAGING = "analytics", "analytics_staging"
SCHEMAS = (DATASET, STAGING, MARTS, MARTS_STAGING)
_COLUMNS = ("schema_name", "object_name", "kind", "columns")
# Tables that belong to no report, with columns that they always had.
INTERNAL = {
    REGISTER: _COLUMNS,
    UPGRADES: ("form", "step", "version", "taken_at"),
    "_privacy": ("mode", "key_id", "forgetting_key"),
    "_forgotten": ("entry", "forgotten_at"),
    "_given_up": ("something",),
    "_keys": ("table_name", "column_name", "key"),
    "_dlt_version": ("version", "schema_name", "schema"),
    "_dlt_loads": ("load_id", "schema_name", "status"),
    "_dlt_pipeline_state": ("pipeline_name", "state"),
}
# All comments on tables and views of ours begin so.
_COMMENT = "One row"
# Required columns of dlt.
_FILLED = ("_dlt_load_id", "_dlt_id")


class Name(NamedTuple):
    """A table or view. On DuckDB in lower case, because DuckDB ignores case."""

    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(self)


TABLE_NAMES = [Name(DATASET, name) for name in TABLES]
# Schemas have an empty name. One that is there is used, with whatever is in it.
OWN_NAMES = [
    Name(DATASET, ""),
    *(Name(DATASET, name) for name in INTERNAL),
    *TABLE_NAMES,
    *(Name(STAGING, name) for name in ("_dlt_version", *TABLES)),
]


@dataclass(frozen=True)
class Column:
    """One column. `type`: as `schema` has it. `is_required`: NOT NULL, without a default."""

    type: str
    comment: str | None
    is_required: bool


@dataclass
class Relation:
    """One table, view or whatever else has a name that a table could have.

    `kind`: `table`, `view` or the engine's words for another. `obstacles`: what may refuse a row, such as
    `unique index one_click`; required columns are not among them.
    """

    kind: str
    comment: str | None
    columns: dict[str, Column] = field(default_factory=dict)
    obstacles: list[str] = field(default_factory=list)


Relations = Mapping[Name, Relation]


class _Entry(NamedTuple):
    kind: str
    columns: frozenset[str]


class Inventory:
    """The relations of the warehouse's schemas, and which of them are ours."""

    def __init__(self, connection: Connection, relations: Relations) -> None:
        self._connection, self._relations = connection, relations
        self._has_register = self._has(DATASET, REGISTER)
        self._register = _register(connection) if self._has_register else {}
        self.dlt_columns = {
            schema: _dlt_columns(connection, schema) if self._has(schema, "_dlt_version") else {}
            for schema in (DATASET, STAGING)
        }
        # Of a version that kept no register.
        self._is_older = not self._has_register and (bool(self.dlt_columns[DATASET]) or self._has(DATASET, UPGRADES))

    def _has(self, schema: str, name: str) -> bool:
        """Whether an internal table is there, and not another of its name."""
        relation = self._relations.get(Name(schema, name))
        return relation is not None and relation.kind == "table" and relation.columns.keys() >= {*INTERNAL[name]}

    def check(self, names: Iterable[Name]) -> None:
        """Nothing, where each object of these names is ours and takes rows, or does not exist.

        :raises ConfigurationError: it is somebody else's, or something refuses rows; names it.
        """
        for name in names:
            if relation := self._relations.get(name):
                self._check(name, relation)

    def _check(self, name: Name, relation: Relation) -> None:
        obstacles = [] if _is_internal(name) else [*relation.obstacles, *_required(relation)]
        if relation.kind == "schema":
            if obstacles:
                raise ConfigurationError(f"schema {name.schema}: {obstacles[0]}; grant it, then run again")
            return
        if not self._is_ours(name, relation):
            raise ConfigurationError(
                f"{name} is in the way: passona-warehouse did not create this {relation.kind}; rename it, or move it "
                "to another schema, then run again; nothing was changed"
            )
        if obstacles:
            raise ConfigurationError(
                f"{name} cannot be written: {obstacles[0]}; change or remove that, then run again; nothing was changed"
            )

    def check_types(self) -> None:
        """Nothing, where the columns of the dataset have the types that loads write.

        :raises ConfigurationError: one has another type; names it.
        """
        for name, relation in self._relations.items():
            for column, expected in self._types(name).items():
                there, is_required = relation.columns.get(column), expected.endswith(" NOT NULL")
                if there is None and is_required:  # rows that are there have nothing to put into it
                    raise ConfigurationError(f"{name}: column {column} is missing; drop the table and run again")
                if there is not None and there.type != expected.removesuffix(" NOT NULL"):
                    raise ConfigurationError(
                        f"{name}: column {column} is {there.type}, expected {expected}; give it that type, or another "
                        "name if it is yours, then run again"
                    )

    def _types(self, name: Name) -> dict[str, str]:
        """The types of a table's columns; those that the vendor's guide does not know are texts."""
        if name.name not in TABLES or name.schema not in self.dlt_columns:
            return {}
        new = [column for column in self.dlt_columns[name.schema].get(name.name, ()) if column[0] != "_"]
        return dict.fromkeys(new, "VARCHAR") | TABLES[name.name].sql_columns

    def missing_tables(self) -> set[str]:
        """The tables of the dataset that are not there."""
        return {name for name in TABLES if Name(DATASET, name) not in self._relations}

    def missing_columns(self) -> list[tuple[str, str, str]]:
        """Columns that tables of the dataset do not have: table, column, type.

        Of a later version than the table, or of new keys of the API and dropped by somebody: dlt would not make those.
        """
        there = {name: self._relations[name].columns for name in TABLE_NAMES if name in self._relations}
        return [
            (name.name, column, kind)
            for name, columns in there.items()
            for column, kind in self._types(name).items()
            if column not in columns
        ]

    def _is_ours(self, name: Name, relation: Relation) -> bool:
        if _is_internal(name):
            return self._has(*name) and (self._has_register or self._is_older)
        entry = self._register.get(name)
        if entry:  # the user may have dropped a column, or changed the comment, of ours; both is another table
            return entry.kind == relation.kind and (_is_described(relation) or entry.columns <= relation.columns.keys())
        if name.name in self.dlt_columns.get(name.schema, ()):
            return relation.kind == "table" and "_dlt_load_id" in relation.columns
        return self._is_older and self._was_made(name) and _is_described(relation)

    def _was_made(self, name: Name) -> bool:
        """Return True if an earlier version created objects in this schema: of models, only if it built them."""
        built = self._relations.get(Name(MARTS_STAGING, "int_built_campaigns"))
        return name.schema not in (MARTS, MARTS_STAGING) or bool(built and built.comment)

    def comments(self) -> Iterator[tuple[tuple[str, str | None], str | None]]:
        """The comments on the tables of the dataset and their columns, without those that users added.

        Each with its table and column, None for that of the table.
        """
        for name in TABLE_NAMES:
            if relation := self._relations.get(name):
                yield (name.name, None), relation.comment
                own = self._types(name)
                yield from (((name.name, c), column.comment) for c, column in relation.columns.items() if c in own)

    def keep_register(self, names: Iterable[Name]) -> None:
        """Make the register if there is none, and make it true: with what of these names is ours, without the rest.

        In the caller's transaction.
        """
        if not self._has_register:
            self._connection.execute(
                f"CREATE TABLE {DATASET}.{REGISTER} ({', '.join(f'{column} VARCHAR NOT NULL' for column in _COLUMNS)})"
            )
        names = {name for name in {*names, *self._register} if name.name and not _is_internal(name)}
        there = {name: self._relations[name] for name in names if name in self._relations and name.schema != STAGING}
        ours = {name: relation for name, relation in there.items() if self._is_ours(name, relation)}
        self.record({name: (each.kind, each.columns) for name, each in ours.items() if name not in self._register})
        for name in self._register.keys() - ours.keys():
            self._forget(name)
            del self._register[name]

    def record(self, objects: Mapping[Name, tuple[str, Iterable[str]]]) -> None:
        """Note the kind and the columns of objects of ours, in the transaction that made them."""
        for name, (kind, columns) in objects.items():
            entry = _Entry(kind, frozenset(columns))
            if self._register.get(name) != entry:
                self._forget(name)
                self._connection.execute(
                    f"INSERT INTO {DATASET}.{REGISTER} VALUES (?, ?, ?, ?)",  # noqa: S608  # constants
                    [*name, kind, ",".join(sorted(entry.columns))],
                )
                self._register[name] = entry

    def _forget(self, name: Name) -> None:
        self._connection.execute(
            f"DELETE FROM {DATASET}.{REGISTER} WHERE schema_name = ? AND object_name = ?",  # noqa: S608  # constants
            [*name],
        )


def _is_internal(name: Name) -> bool:
    return name.name.startswith("_")


def _is_described(relation: Relation) -> bool:
    return (relation.comment or "").startswith(_COMMENT)


def _required(relation: Relation) -> list[str]:
    """Columns that every row needs a value for, but for those that every load fills."""
    return [
        f"NOT NULL column {name} without a default"
        for name, column in relation.columns.items()
        if column.is_required and name not in _FILLED
    ]


def _register(connection: Connection) -> dict[Name, _Entry]:
    found = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM {DATASET}.{REGISTER}").fetchall()  # noqa: S608  # constants
    return {Name(schema, name): _Entry(kind, frozenset(columns.split(","))) for schema, name, kind, columns in found}


def _dlt_columns(connection: Connection, schema: str) -> dict[str, set[str]]:
    """The columns that dlt ever made in a schema, by table, as it noted them."""
    stored = connection.execute(
        f"SELECT schema FROM {schema}._dlt_version WHERE schema_name = ?",  # noqa: S608  # constants
        [DATASET],
    ).fetchall()
    columns: defaultdict[str, set[str]] = defaultdict(set)
    for (text,) in stored:
        for name, table in orjson.loads(text)["tables"].items():
            columns[name] |= {column for column, hints in table.get("columns", {}).items() if "data_type" in hints}
    return dict(columns)


def own_columns(connection: Connection) -> dict[str, list[str]]:
    """The columns of the dataset's tables, in order, without those that users added. All, if dlt has noted nothing."""
    noted = _dlt_columns(connection, DATASET) if "_dlt_version" in tables_of(connection, DATASET) else {}
    own: dict[str, list[str]] = {name: [] for name in TABLES}
    for table, column in columns_of(connection, DATASET):
        if table in own and (not noted or column in TABLES[table].sql_columns or column in noted.get(table, ())):
            own[table].append(column)
    return own


def owned(connection: Connection) -> dict[str, frozenset[str]] | None:
    """The tables and views that are ours, as `schema.name`, with the columns that they were made with.

    None where nobody noted them, as in a copy of marts.
    """
    if REGISTER not in tables_of(connection, DATASET):
        return None
    return {str(name): entry.columns for name, entry in _register(connection).items()}


def own_objects(connection: Connection) -> dict[Name, tuple[str, list[str]]]:
    """Kind and columns of each object that is ours and is there, without what users added to it."""
    found: dict[Name, tuple[str, list[str]]] = {}
    own = own_columns(connection)
    register = _register(connection)
    for schema in (DATASET, MARTS_STAGING, MARTS):
        for table, column in columns_of(connection, schema):
            entry = register.get(name := Name(schema, table))
            if entry and (column in own[table] if name in TABLE_NAMES else column in entry.columns):
                found.setdefault(name, (entry.kind, []))[1].append(column)
    return found


def own_staging(connection: Connection) -> set[str]:
    """The tables of dlt's staging dataset, as `schema.name`: those with dlt's column. Its notes of itself have none."""
    if "_dlt_version" not in tables_of(connection, STAGING) or not _dlt_columns(connection, STAGING):
        return set()
    return {f"{STAGING}.{table}" for table, column in columns_of(connection, STAGING) if column == "_dlt_load_id"}


def model_names(project: Path) -> list[Name]:
    """The tables and views that the dbt project makes, one for each model and seed."""
    schemas = {"marts": MARTS, "staging": MARTS_STAGING, "intermediate": MARTS_STAGING}
    made = [Name(MARTS, ""), Name(MARTS_STAGING, "")]
    models = [Name(schemas[file.parent.name], file.stem) for file in sorted(project.glob("models/*/*.sql"))]
    return [*made, *models, *(Name(MARTS_STAGING, file.stem) for file in sorted(project.glob("seeds/*.csv")))]
