"""What a model must not use, so that the same project builds on DuckDB, Postgres and Spark (docs/scale.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "pipelines" / "warehouse"
MODELS = sorted([*PROJECT.glob("models/**/*.sql"), *PROJECT.glob("tests/**/*.sql")])
# Each with what to use for it; what only one engine knows is in a macro that is dispatched.
FORBIDDEN = {
    r"\bstring_agg\b|\blistagg\b|\barray_agg\b|\blist\(": "listed()",
    r"\bat time zone\b|\bdate_trunc\b|\bdate_part\b|\binterval\b": "wall_clock(), hour_start()",
    r"\bextract\(|\bepoch": "seconds_between()",
    r"\bregexp_\w+|\brlike\b|\bsimilar to\b|\bilike\b| ~ ": "matches(), without()",
    r"\bpercentile_\w+|\bquantile_\w+|\bmedian\(": "quantile()",
    r"\bdouble\b|\bvarchar\b|\btext\b(?=\s*\))|::": "cast() with text_type(), double_type()",
    r"\bqualify\b|\bdistinct on\b|\bfilter\s*\(|\bexclude\b|\blateral\b|\bunnest\b|->": "plain SQL",
    r"\bgroup by all\b|\border by all\b|\bunion by name\b|\bfrom_iso\w*": "plain SQL",
}


def plain(text: str) -> str:
    """The SQL without comments and without what Jinja puts in."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
    return re.sub(r"--.*", "", text).lower()


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_models_use_what_all_engines_know(model: Path) -> None:
    sql = plain(model.read_text("utf-8"))
    found = {pattern: use for pattern, use in FORBIDDEN.items() if re.search(pattern, sql)}
    assert found == {}


def test_seeds_hold_no_apostrophe_and_no_backslash_which_spark_reads_otherwise() -> None:
    texts = {seed.name: seed.read_text("utf-8") for seed in PROJECT.glob("seeds/*.csv")}
    assert texts
    assert [name for name, text in texts.items() if "'" in text or "\\" in text] == []


def test_what_is_dispatched_has_a_default() -> None:
    macros = "".join(path.read_text("utf-8") for path in PROJECT.glob("macros/*.sql"))
    dispatched = set(re.findall(r"adapter\.dispatch\('(\w+)'\)", macros))
    assert dispatched >= {"matches", "listed", "seconds_between"}
    assert dispatched == {name for name in dispatched if f"macro default__{name}(" in macros}
    assert set(re.findall(r"macro spark__(\w+)\(", macros)) <= dispatched
