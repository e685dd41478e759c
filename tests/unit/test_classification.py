"""What is personal is said once, in `reports` and `schema`; hints, comments and the dbt project say the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from passona.reports.definitions import Column, Personal
from passona.reports.tables import TABLES, Table

MODELS = Path(__file__).parents[2] / "pipelines/warehouse/models"
# Names of staging's columns that only say where a raw column came from; the macro msisdn makes a phone.
SOURCE = re.compile(r"^ {8}(?:\{\{ msisdn\('(?P<phone>\w+)'\) }}|(?P<raw>\w+))(?: as (?P<name>\w+))?,?$", re.MULTILINE)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: str(table.name))
def test_every_column_says_what_it_tells_of_a_person(table: Table) -> None:
    assert table.personal.keys() == set(table.schema.names), "a new column has to be classified in schema"
    assert set(table.personal.values()) <= set(get_args(Personal))


def test_a_reports_column_cannot_be_made_without_saying_it() -> None:
    assert inspect.signature(Column).parameters["personal"].default is inspect.Parameter.empty


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: str(table.name))
def test_hints_and_comments_mark_what_is_personal_and_nothing_else(table: Table) -> None:
    for name in table.schema.names:
        kind = table.personal[name]
        assert table.hints[name].get("x-personal", "no") == kind
        assert (f"personal data ({kind})" in str(table.comment_on(name))) == (kind != "no")


def test_what_identifies_a_person_is_marked() -> None:
    marked = {
        f"{table.name}.{name}": table.personal[name] for table in TABLES.values() for name in table.personal_columns
    }
    assert {name for name, kind in marked.items() if kind == "phone"} == {
        "clicks.phone_number", "delivery.recipient", "alt_delivery.mobile", "recipient.phone_number", "unsent.mobile",
    }  # fmt: skip
    assert marked["delivery.message_copy"] == "text"
    assert marked["clicks.link_destination"] == "link"
    assert marked["clicks.user_agent"] == "agent"
    assert {name for name, kind in marked.items() if kind == "value"} == {
        "alt_delivery__fields.value", "recipient__fields.value", "unsent__fields.value",
    }  # fmt: skip


def staged() -> Iterator[tuple[str, str, str]]:
    """Model, column and kind of each column of staging, by the raw column that its SQL names."""
    for file in sorted((MODELS / "staging").glob("*.sql")):
        sql = file.read_text("utf-8")
        table = TABLES[re.findall(r"source\('passona', '(\w+)'\)", sql)[0]]
        body = sql.partition("renamed as (")[2].partition("from source")[0]
        for found in SOURCE.finditer(body):
            raw = found["phone"] or found["raw"]
            if raw in table.personal:
                yield file.stem, found["name"] or raw, table.personal[raw]


def documented(folder: str) -> Iterator[tuple[str, str, str]]:
    """Model, column and kind as the dbt project's own files say."""
    for file in (MODELS / folder).glob("_*.yml"):
        for model in yaml.safe_load(file.read_text("utf-8")).get("models", []):
            for column in model.get("columns", []):
                meta: dict[str, Any] = column.get("config", {}).get("meta", {})
                yield model["name"], column["name"], str(meta.get("personal", "no"))


def test_dbts_staging_is_marked_as_the_tables_are() -> None:
    expected = {(model, name): kind for model, name, kind in staged()}
    said = {(model, name): kind for model, name, kind in documented("staging")}
    assert len(expected) > 80
    assert {column: said.get(column) for column in expected} == expected


@pytest.mark.parametrize("folder", ["intermediate", "marts"])
def test_dbts_other_models_mark_a_column_as_staging_does(folder: str) -> None:
    kinds = {name: kind for _, name, kind in staged() if kind != "no"} | {"message_key": "digest"}
    for model, name, kind in documented(folder):
        assert (model, name, kind) == (model, name, kinds.get(name, "no"))
