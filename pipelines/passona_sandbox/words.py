"""The word lists from which people and campaigns are made up, read once."""

import json
from functools import cache
from importlib.resources import files
from itertools import starmap
from typing import Any, NamedTuple

LONG = 5_000  # characters of the longest hostile value


class Agent(NamedTuple):
    """A browser or robot as the clicks report names it."""

    user_agent: str | None
    device_type: str | None
    os_version: str | None
    browser_version: str | None


class Words(NamedTuple):
    """The word lists; `names` holds one pair (first names, last names) per language."""

    names: tuple[tuple[list[str], list[str]], ...]
    towns: list[str]
    comma_values: list[str]
    quoted_values: list[str]
    groups: list[tuple[str, str | None]]
    brands: list[str]
    templates: list[tuple[str, str]]
    links: list[tuple[str, str]]
    failures: list[str]
    reasons: list[str]
    hostile: list[str]
    browsers: list[Agent]
    robots: list[Agent]


def data(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files("passona_sandbox").joinpath("data", name).read_text(encoding="utf-8"))
    return content


@cache
def words() -> Words:
    lists, agents = data("words.json"), data("agents.json")
    lists["hostile"] += ["long " * (LONG // 5), "é" * LONG]
    lists["browsers"] = list(starmap(Agent, agents["people"]))
    lists["robots"] = list(starmap(Agent, agents["robots"]))
    return Words(**lists)
