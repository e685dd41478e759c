"""Two hundred user agents through the rules and macros of the dbt project, against what a person says of them.

The list was written before the rules: support/data/user_agents.csv, by hand. The SQL is the project's own, rendered by
jinja as dbt does it and run in DuckDB.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import duckdb
import pytest

from passona.masking._user_agents import read_agents
from support.dbt_macros import duckdb_macros

pytestmark = pytest.mark.core

TESTS = Path(__file__).parents[1]
PROJECT = TESTS.parent / "pipelines/warehouse"
RULES = PROJECT / "seeds/click_rules.csv"
LABELS = ("click_class", "device_class", "os_family", "browser_family")
# What the text cannot tell: a person knows the model, the rules do not. A new one here needs a reason.
KNOWN_WRONG = {
    "Mozilla/5.0 (Linux; Android 10; itel W7002P Build/QP1A.190711.020; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/96.0.4664.104 Mobile Safari/537.36[FBAN/EMA;FBLC/en_US;FBAV/283.0.0.6.117;]",
}


def expected() -> list[dict[str, str]]:
    with (TESTS / "support/data/user_agents.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rules() -> list[dict[str, str]]:
    with RULES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def classified(agents: list[str | None]) -> list[dict[str, str]]:
    """The four labels of each, in order, by the project's seed and macros."""
    macros = duckdb_macros()
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE agents (place INTEGER, user_agent VARCHAR)")
        connection.executemany("INSERT INTO agents VALUES (?, ?)", list(enumerate(agents)))
        connection.execute(f"CREATE TABLE rules AS FROM read_csv('{RULES}', header = true, all_varchar = true)")
        found = connection.execute(
            f"""
            WITH classes AS (
                SELECT place, user_agent, arg_min(click_class, rule_order::INTEGER) AS click_class
                FROM agents LEFT JOIN rules ON {macros.agent_matches("user_agent", "pattern")}
                GROUP BY place, user_agent
            )
            SELECT click_class,
                   {macros.device_class("user_agent", "click_class")},
                   {macros.os_family("user_agent", "click_class")},
                   {macros.browser_family("user_agent", "click_class")}
            FROM classes ORDER BY place
            """
        ).fetchall()
    return [dict(zip(LABELS, row, strict=True)) for row in found]


def test_at_least_98_in_a_hundred_are_right_and_the_wrong_ones_are_known() -> None:
    said = expected()
    assert len({agent["user_agent"] for agent in said}) == 200
    wrong = {
        agent["user_agent"]: {label: (agent[label], got[label]) for label in LABELS if agent[label] != got[label]}
        for agent, got in zip(said, classified([agent["user_agent"] for agent in said]), strict=True)
        if any(agent[label] != got[label] for label in LABELS)
    }
    assert len(wrong) <= 4, wrong
    assert wrong.keys() == KNOWN_WRONG, wrong


BROWSER = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.104 Mobile Safari/537.36"
MODELS = (
    "M bot 60",
    "M bot 551 PRO",
    "CUBOT NOTE 20",
    "Robot",
    "Spider 2",
    "Web Crawler X",
    "Barracuda 5G",
    "Port Scanner",
    "Link Check",
    "Slackbot",
    "Nessus/DS",
)


@pytest.mark.parametrize("model", MODELS)
def test_a_word_of_the_device_is_no_robots_name(model: str) -> None:
    agents = [
        f"Mozilla/5.0 (Linux; Android 10; {model}) {BROWSER}",
        f"Mozilla/5.0 (Linux; Android 10; {model} Build/QP1A.190711.020; wv) {BROWSER}",
        f"Mozilla/5.0 (Linux; U; Android 4.4.2; en-gb; {model} Build/1.2.3) {BROWSER}",
        f"Mozilla/5.0 (Linux; Android 11; {model} (2022)) {BROWSER}",
        f"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; {model}) {BROWSER}",
        f"Mozilla/5.0 (Linux; Android 10; SM-A1) {BROWSER} [FBAN/FB4A;FBAV/272.0.0.38.118;FBDV/{model};FBCR/{model};FBLC/en_GB;]",
        f"Mozilla/5.0 (Linux; Android 10; SM-A1) {BROWSER} Instagram 155.0.0.37.107 Android (29/10; 480dpi; 1080x2134; {model}; {model}; en_GB; 239490550)",
        f"Mozilla/5.0 (Mobile; {model}; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
    ]
    found = classified(list(agents))
    assert {got["click_class"] for got in found} == {"human"}
    assert {got["device_class"] for got in found} == {"phone"}
    assert classified([read_agents().stand_in(agent) for agent in agents]) == found


@pytest.mark.parametrize(
    "agent",
    [
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X; Googlebot/2.1; +http://www.google.com/bot.html) {BROWSER}",
        f"Mozilla/5.0 (Linux; Android 6.0.1; M bot 60) {BROWSER} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        f"Mozilla/5.0 (Linux; Android 7.0; SM-G930V) {BROWSER} my bot",
        f"Mozilla/5.0 (Linux; Android 7.0; SM-G930V; https://crawler.example.org/) {BROWSER}",
        "Mozilla/5.0 (compatible; M bot 60)", "M bot 60", "Dalvik/2.1.0 (Linux; U; Android 9; M bot 60 Build/PPR1)",
    ],
)  # fmt: skip
def test_a_robot_that_names_itself_is_one_whatever_phone_it_claims_to_be(agent: str) -> None:
    assert classified([agent])[0]["click_class"] == "bot"
    assert read_agents().classes(agent)[1:] == ("other",) * 3


def test_no_user_agent_is_unknown_whether_null_or_empty_or_blank() -> None:
    assert {got["click_class"] for got in classified([None, "", "  \t"])} == {"unknown"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["rule"]))
def test_a_rule_can_be_used_by_duckdb_and_postgres(rule: dict[str, str]) -> None:
    assert rule["click_class"] in ("human", "preview", "bot", "unknown")
    assert rule["pattern"] == rule["pattern"].lower(), "agents are matched in lower case"
    assert not re.search(r"\\[bByYmMAZzdDwWsS]|\(\?", rule["pattern"]), "means something else in the other database"


def test_rules_have_an_order_and_names_of_their_own() -> None:
    orders = [int(rule["rule_order"]) for rule in rules()]
    assert orders == sorted(set(orders))
    assert len({rule["rule"] for rule in rules()}) == len(orders)


def test_a_shortened_user_agent_keeps_its_classes() -> None:
    said = [agent["user_agent"] for agent in expected()]
    stand_ins = [read_agents().stand_in(agent) for agent in said]
    assert classified(stand_ins) == classified(list(said))
    assert len(set(stand_ins)) < 80


def test_every_rule_and_every_device_system_and_browser_is_stood_for() -> None:
    agents = read_agents()
    robots = [rule["rule"] for rule in rules() if rule["click_class"] != "human" and rule["rule"] != "no_user_agent"]
    assert {rule: agents.classes(agents.robots[rule] or "")[0] for rule in robots} == {rule: rule for rule in robots}
    assert agents.stand_in(" \t") is None
