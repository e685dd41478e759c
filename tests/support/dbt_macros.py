"""The macros of the dbt project as Python functions, as dbt would call them on DuckDB."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment

MACROS = Path(__file__).parents[2] / "pipelines" / "warehouse" / "macros"


@cache
def duckdb_macros() -> Any:
    environment = Environment(extensions=["jinja2.ext.do"])  # SQL, not HTML
    text = "\n".join(file.read_text("utf-8") for file in sorted(MACROS.glob("*.sql")))
    made: dict[str, Any] = {}
    adapter = SimpleNamespace(dispatch=lambda name: getattr(made["module"], f"default__{name}"))
    template = environment.from_string(text, globals={"adapter": adapter, "return": lambda value: value})
    made["module"] = template.module
    return made["module"]
