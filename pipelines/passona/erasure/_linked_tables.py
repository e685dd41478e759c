"""Users' tables with foreign keys: `forget` erases from each in its own transaction, referring tables first.

DuckDB checks a foreign key even against rows that the same transaction has deleted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from graphlib import TopologicalSorter

from passona.erasure._erase import changed, create_people_table, deleted, erase_texts, is_one_of_them
from passona.erasure.text_columns import TextColumn, text_columns, texts_naming, texts_that_stand_for
from passona.errors import ConfigurationError
from passona.masking.people import People
from passona.masking.phones import ERASED
from passona.warehouse.connection import Connection, is_server, transaction


def linked_tables(connection: Connection) -> list[str]:
    """Return the tables of a DuckDB file with foreign keys between them, referring tables first."""
    if is_server(connection):
        return []
    links = connection.execute(
        "SELECT concat_ws('.', schema_name, table_name), concat_ws('.', schema_name, referenced_table) "
        "FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' AND database_name = current_database()"
    ).fetchall()
    referring: dict[str, set[str]] = {table: set() for link in links for table in link}
    for table, referred in links:
        if table != referred:
            referring[referred].add(table)
    return [*TopologicalSorter(referring).static_order()]


def erase_linked(
    connection: Connection, people: People, in_texts: Sequence[str], tables: Sequence[str], *, keep: bool
) -> Counter[str]:
    """Erase people from these tables (`linked_tables`); without `keep` only count. Return the rows by table.

    A row that other rows refer to by another column than the phone stays, without the phone.

    :raises ConfigurationError: a row can neither be deleted nor lose the phone. It names the table.
    """
    erased: Counter[str] = Counter()
    for table in tables:
        columns = [column for column in text_columns(connection) if column.shown == table]
        if not columns:
            continue
        if not keep:
            erased[table] += _count(connection, columns, people, in_texts)
            continue
        try:
            with transaction(connection):
                erased += _erase_phones(connection, columns, people, _delete)
        except ConfigurationError:
            with transaction(connection):
                erased += _erase_phones(connection, columns, people, _blank)
        with transaction(connection):
            erased += erase_texts(connection, columns, in_texts, people.tokens)
    return erased


def _erase_phones(
    connection: Connection,
    columns: Sequence[TextColumn],
    people: People,
    erase_rows: Callable[[Connection, TextColumn], int],
) -> Counter[str]:
    create_people_table(connection, people, columns)
    erased: Counter[str] = Counter()
    for column in columns:
        if column.is_of_phones:
            erased[column.shown] += erase_rows(connection, column)
    connection.execute("DROP TABLE _people")
    return erased


def _delete(connection: Connection, column: TextColumn) -> int:
    return deleted(connection, column.table, is_one_of_them(column.as_text))


def _blank(connection: Connection, column: TextColumn) -> int:
    mark = f"'{ERASED}'" if column.is_text and not column.is_nullable else "NULL"
    return changed(
        connection,
        column.table,
        f"UPDATE {column.table} SET {column.quoted} = {mark} WHERE {is_one_of_them(column.as_text)}",  # noqa: S608  # quoted names
    )


def _count(connection: Connection, columns: Sequence[TextColumn], people: People, in_texts: Sequence[str]) -> int:
    """Count the rows that name these people: DuckDB cannot delete them in a transaction that is rolled back."""
    condition = " OR ".join(f"{column.as_text} IN (SELECT unnest(?::VARCHAR[]))" for column in columns) or "false"
    texts = [
        [
            *(
                texts_that_stand_for(connection, column, people.phones).union(people.values)
                if column.is_of_phones
                else texts_naming(connection, column, in_texts, people.tokens)
            )
        ]
        for column in columns
    ]
    table = columns[0].table
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}", texts).fetchall()  # noqa: S608  # quoted names
    return int(rows)
