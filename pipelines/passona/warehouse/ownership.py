"""Which objects this program created: it never writes, replaces or drops any other object.

    engine.relations() + passona._objects -> Inventory -> objects in the way | our objects

The table `passona._objects` registers our objects, in the transaction that creates them: this module those of the
dataset, the dbt project its models. dlt registers its own tables in `_dlt_version`. Without `_objects`, the warehouse
of an earlier version has dlt's tables or `_upgrades`, and comments on its tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from passona.config.dbt_project import project_folder
from passona.errors import ConfigurationError
from passona.reports.tables import DATASET, TABLES
from passona.warehouse.connection import Connection, columns_of, tables_of

REGISTER, UPGRADES = "_objects", "_upgrades"
STAGING = f"{DATASET}_staging"
MARTS, MARTS_STAGING = "analytics", "analytics_staging"
SCHEMAS = (DATASET, STAGING, MARTS, MARTS_STAGING)
_COLUMNS = ("schema_name", "object_name", "kind", "columns")
# Tables that belong to no report, with columns that every version has.
INTERNAL = {
    REGISTER: _COLUMNS,
    UPGRADES: ("form", "step", "version", "taken_at"),
    "_privacy": ("mode", "key_id", "forgetting_key"),
    "_forgotten": ("entry", "forgotten_at"),
    "_account": ("account",),
    "_given_up": ("something",),
    "_keys": ("table_name", "column_name", "key"),
    "_dlt_version": ("version", "schema_name", "schema"),
    "_dlt_loads": ("load_id", "schema_name", "status"),
    "_dlt_pipeline_state": ("pipeline_name", "state"),
}
# All comments on our tables and views begin with these words.
_COMMENT = "One row"
# NOT NULL columns that dlt fills.
_FILLED = ("_dlt_load_id", "_dlt_id")


class QualifiedName(NamedTuple):
    """A table or view; a schema if `name` is empty. In lower case on DuckDB, which ignores case."""

    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(self)

    @property
    def is_internal(self) -> bool:
        return self.name.startswith("_")


TABLE_NAMES = [QualifiedName(DATASET, name) for name in TABLES]
RESERVED_NAMES = [
    QualifiedName(DATASET, ""),
    *(QualifiedName(DATASET, name) for name in INTERNAL),
    *TABLE_NAMES,
    *(QualifiedName(STAGING, name) for name in ("_dlt_version", *TABLES)),
]


@dataclass(frozen=True)
class Column:
    """One column. `type`: as in `reports.tables`. `is_required`: NOT NULL, without a default."""

    type: str
    comment: str | None
    is_required: bool


@dataclass
class Relation:
    """A table, a view or another object in the same namespace.

    `kind`: `table`, `view` or the engine's term for another. `obstacles`: what may refuse a row, such as
    `unique index one_click`, except required columns.
    """

    kind: str
    comment: str | None
    columns: dict[str, Column] = field(default_factory=dict)
    obstacles: list[str] = field(default_factory=list)

    @property
    def is_described(self) -> bool:
        """Return True if it has a comment of ours."""
        return (self.comment or "").startswith(_COMMENT)


Relations = Mapping[QualifiedName, Relation]


def relations(
    rows: Iterable[tuple[str, str, str, str | None]],
    columns: Iterable[tuple[str, str, str, Column]],
    obstacles: Iterable[tuple[str, str, str]],
) -> Relations:
    """Return the relations of rows of an engine's catalog, each of which begins with schema and name."""
    found = {QualifiedName(schema, name): Relation(kind, comment) for schema, name, kind, comment in rows}
    for schema, name, column_name, column in columns:
        found[QualifiedName(schema, name)].columns[column_name] = column
    for schema, name, obstacle in obstacles:
        found[QualifiedName(schema, name)].obstacles.append(obstacle)
    return found


class _Entry(NamedTuple):
    kind: str
    columns: frozenset[str]


class Inventory:
    """The relations of the warehouse's schemas at one moment, and which of them are ours."""

    def __init__(self, connection: Connection, relations: Relations) -> None:
        self._connection, self._relations = connection, relations
        self._has_register = self._has(QualifiedName(DATASET, REGISTER))
        self._register = _register(connection) if self._has_register else {}
        self._dlt_columns = {
            schema: _dlt_columns(connection, schema) if self._has(QualifiedName(schema, "_dlt_version")) else {}
            for schema in (DATASET, STAGING)
        }
        # Of a version without a register.
        self._is_older = not self._has_register and (
            bool(self._dlt_columns[DATASET]) or self._has(QualifiedName(DATASET, UPGRADES))
        )

    def _has(self, name: QualifiedName) -> bool:
        """Return True if an internal table exists, and not a user's table of its name."""
        relation = self._relations.get(name)
        return relation is not None and relation.kind == "table" and relation.columns.keys() >= {*INTERNAL[name.name]}

    def check(self, names: Iterable[QualifiedName]) -> None:
        """Check that each object of these names is ours and takes rows, or does not exist.

        :raises ConfigurationError: it is the user's, or something refuses rows; names it.
        """
        for name in names:
            if relation := self._relations.get(name):
                self._check(name, relation)

    def _check(self, name: QualifiedName, relation: Relation) -> None:
        obstacles = [] if name.is_internal else [*relation.obstacles, *_required(relation)]
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
        """Check that the columns of the dataset have the types that loads write.

        :raises ConfigurationError: one has another type; names it.
        """
        for name, relation in self._relations.items():
            for column_name, expected in self._types(name).items():
                column, is_required = relation.columns.get(column_name), expected.endswith(" NOT NULL")
                if column is None and is_required:  # existing rows have no value for it
                    raise ConfigurationError(f"{name}: column {column_name} is missing; drop the table and run again")
                if column is not None and column.type != expected.removesuffix(" NOT NULL"):
                    raise ConfigurationError(
                        f"{name}: column {column_name} is {column.type}, expected {expected}; give it that type, or "
                        "another name if it is yours, then run again"
                    )

    def _types(self, name: QualifiedName) -> dict[str, str]:
        """Return the types of our columns of a table. Keys that the vendor's guide does not know are texts."""
        if name.name not in TABLES or name.schema not in self._dlt_columns:
            return {}
        new = [column for column in self._dlt_columns[name.schema].get(name.name, ()) if column[0] != "_"]
        return dict.fromkeys(new, "VARCHAR") | TABLES[name.name].sql_columns

    def missing_tables(self) -> set[str]:
        """Return the tables of the dataset that do not exist."""
        return {name.name for name in TABLE_NAMES if name not in self._relations}

    def missing_columns(self) -> list[tuple[str, str, str]]:
        """Return columns that tables of the dataset lack: table, column, type.

        Either this version added them, or a user dropped the column of an undocumented key: dlt would not add those.
        """
        return [
            (name.name, column, kind)
            for name in TABLE_NAMES
            if name in self._relations
            for column, kind in self._types(name).items()
            if column not in self._relations[name].columns
        ]

    def _is_ours(self, name: QualifiedName, relation: Relation) -> bool:
        if name.is_internal:
            return self._has(name) and (self._has_register or self._is_older)
        if entry := self._register.get(name):
            # The user may have dropped a column or changed the comment: if both, it is another table.
            return entry.kind == relation.kind and (relation.is_described or entry.columns <= relation.columns.keys())
        if name.name in self._dlt_columns.get(name.schema, ()):
            return relation.kind == "table" and "_dlt_load_id" in relation.columns
        return self._is_older and self._was_built(name.schema) and relation.is_described

    def _was_built(self, schema: str) -> bool:
        """Return True if an earlier version created objects in this schema: models only if it built them."""
        built = self._relations.get(QualifiedName(MARTS_STAGING, "int_built_campaigns"))
        return schema not in (MARTS, MARTS_STAGING) or bool(built and built.comment)

    def comments(self) -> Iterator[tuple[tuple[str, str | None], str | None]]:
        """Yield the comments on our tables and columns, each with its table and column (None: of the table)."""
        for name in TABLE_NAMES:
            if relation := self._relations.get(name):
                yield (name.name, None), relation.comment
                own = self._types(name)
                yield from (((name.name, c), column.comment) for c, column in relation.columns.items() if c in own)

    def update_register(self, names: Iterable[QualifiedName]) -> None:
        """Register those of these names that are ours; unregister what no longer exists. Call it in a transaction."""
        if not self._has_register:
            self._connection.execute(
                f"CREATE TABLE {DATASET}.{REGISTER} ({', '.join(f'{column} VARCHAR NOT NULL' for column in _COLUMNS)})"
            )
        ours = {
            name: relation
            for name in {*names, *self._register}
            if name.name and not name.is_internal and name.schema != STAGING
            if (relation := self._relations.get(name)) and self._is_ours(name, relation)
        }
        self.record({name: (each.kind, each.columns) for name, each in ours.items() if name not in self._register})
        for name in self._register.keys() - ours.keys():
            self._unregister(name)
            del self._register[name]

    def record(self, objects: Mapping[QualifiedName, tuple[str, Iterable[str]]]) -> None:
        """Register kind and columns of our objects, in the transaction that creates them."""
        for name, (kind, columns) in objects.items():
            entry = _Entry(kind, frozenset(columns))
            if self._register.get(name) != entry:
                self._unregister(name)
                self._connection.execute(
                    f"INSERT INTO {DATASET}.{REGISTER} VALUES (?, ?, ?, ?)",  # noqa: S608  # constants
                    [*name, kind, ",".join(sorted(entry.columns))],
                )
                self._register[name] = entry

    def _unregister(self, name: QualifiedName) -> None:
        self._connection.execute(
            f"DELETE FROM {DATASET}.{REGISTER} WHERE schema_name = ? AND object_name = ?",  # noqa: S608  # constants
            [*name],
        )


def _required(relation: Relation) -> list[str]:
    """Return the columns that every row needs a value for, except those that dlt fills."""
    return [
        f"NOT NULL column {name} without a default"
        for name, column in relation.columns.items()
        if column.is_required and name not in _FILLED
    ]


def _register(connection: Connection) -> dict[QualifiedName, _Entry]:
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM {DATASET}.{REGISTER}").fetchall()  # noqa: S608  # constants
    return {
        QualifiedName(schema, name): _Entry(kind, frozenset(columns.split(","))) for schema, name, kind, columns in rows
    }


def _dlt_columns(connection: Connection, schema: str) -> dict[str, set[str]]:
    """Return the columns that dlt ever created in a schema, by table."""
    versions = connection.execute(
        f"SELECT schema FROM {schema}._dlt_version WHERE schema_name = ?",  # noqa: S608  # constants
        [DATASET],
    ).fetchall()
    columns: defaultdict[str, set[str]] = defaultdict(set)
    for (text,) in versions:
        for name, table in orjson.loads(text)["tables"].items():
            columns[name] |= {column for column, hints in table.get("columns", {}).items() if "data_type" in hints}
    return dict(columns)


def dataset_columns(connection: Connection) -> dict[str, list[str]]:
    """Return our columns of the dataset's tables, in order. All columns, if dlt has not loaded anything yet."""
    from_dlt = _dlt_columns(connection, DATASET) if "_dlt_version" in tables_of(connection, DATASET) else {}
    own: dict[str, list[str]] = {name: [] for name in TABLES}
    for table, column in columns_of(connection, DATASET):
        if table in own and (not from_dlt or column in TABLES[table].sql_columns or column in from_dlt.get(table, ())):
            own[table].append(column)
    return own


def registered_columns(connection: Connection) -> dict[str, frozenset[str]] | None:
    """Return our tables and views as `schema.name`, with the columns that they were created with.

    None in a copy without a register, such as of marts.
    """
    if REGISTER not in tables_of(connection, DATASET):
        return None
    return {str(name): entry.columns for name, entry in _register(connection).items()}


def registered_objects(connection: Connection) -> dict[QualifiedName, tuple[str, list[str]]]:
    """Return kind and columns of each of our objects, without columns that users added."""
    objects: dict[QualifiedName, tuple[str, list[str]]] = {}
    own, register = dataset_columns(connection), _register(connection)
    for schema in (DATASET, MARTS_STAGING, MARTS):
        for table, column in columns_of(connection, schema):
            entry = register.get(name := QualifiedName(schema, table))
            if entry and (column in own[table] if name in TABLE_NAMES else column in entry.columns):
                objects.setdefault(name, (entry.kind, []))[1].append(column)
    return objects


def staging_tables(connection: Connection) -> set[str]:
    """Return the tables of dlt's staging dataset, as `schema.name`."""
    if "_dlt_version" not in tables_of(connection, STAGING) or not _dlt_columns(connection, STAGING):
        return set()
    return {f"{STAGING}.{table}" for table, column in columns_of(connection, STAGING) if column == "_dlt_load_id"}


def model_names() -> list[QualifiedName]:
    """Return the schemas, tables and views that the dbt project creates: one for each model and seed."""
    project = project_folder()
    schemas = {"marts": MARTS, "staging": MARTS_STAGING, "intermediate": MARTS_STAGING}
    models = [QualifiedName(schemas[file.parent.name], file.stem) for file in sorted(project.glob("models/*/*.sql"))]
    seeds = [QualifiedName(MARTS_STAGING, file.stem) for file in sorted(project.glob("seeds/*.csv"))]
    return [QualifiedName(MARTS, ""), QualifiedName(MARTS_STAGING, ""), *models, *seeds]
