"""docs/sql.md: every SQL of it runs on the demo's data and gives the result that it shows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from sql_docs import PAGE, answer, blocks

BLOCKS = list(blocks(PAGE.read_text("utf-8")))


@pytest.mark.parametrize(("sql", "shown"), BLOCKS, ids=[f"query {place}" for place, _ in enumerate(BLOCKS, 1)])
def test_the_sql_gives_the_result_shown(sql: str, shown: str, demo_warehouse: Path) -> None:
    with duckdb.connect(str(demo_warehouse), read_only=True) as connection:
        assert answer(connection, sql).splitlines() == shown.splitlines(), "make docs writes it anew"


def test_a_dozen_questions_are_answered() -> None:
    assert len(BLOCKS) >= 12
    assert all(shown.count("\n") > 2 for _, shown in BLOCKS), "a result is missing: make docs"
