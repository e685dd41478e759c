"""The sections of the page, in their order: what each says, its chart's place, its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from passona.analytics._figures import HOURS, Figures, Row
from passona.analytics._html_format import (
    campaign_name,
    chart,
    duration,
    legend_list,
    moment_text,
    number,
    percent,
    said_or,
    share,
    table_of,
)
from passona.reports.definitions import REPORTS

# So many are drawn; the tables have all.
DRAWN_CAMPAIGNS = 12
DRAWN_ROWS = 10
STEPS = (
    ("targeted", "Targeted", "recipients"),
    ("sent", "Sent", "messages"),
    ("delivered", "Delivered", "messages"),
    ("human_clickers", "Clicked", "people"),
)
CLICKS = (("people", "people"), ("robots", "previews and robots"), ("unsure", "not known"))
OUTCOMES = ("delivered", "failed", "pending", "unmapped")
SIGNS = {"settled": "●", "open": "○", "failed": "▲", "held": "■", "never loaded": "–"}


def sections(figures: Figures) -> Iterable[str]:
    yield _tiles(figures)
    yield _funnel(figures)
    if len(figures.campaigns) > 1:
        yield _campaigns(figures)
    yield _statuses(figures)
    yield _reasons(figures)
    yield _hours(figures)
    yield _links(figures)
    yield _devices(figures)
    yield _states(figures)


def _tiles(figures: Figures) -> str:
    delivered = figures.total("delivered")
    final = delivered + figures.total("failed")
    clicks, people = figures.total("clicks"), figures.total("human_clicks")
    tiles = (
        ("Targeted", number(figures.total("targeted")), "recipients"),
        ("Sent", number(figures.total("sent")), f"messages; {number(figures.total('unsent'))} unsent"),
        (
            "Delivered",
            share(delivered, final),
            f"{number(delivered)} of {number(final)} messages with a final status",
        ),
        (
            "Clicked",
            share(figures.total("human_clickers"), delivered),
            f"{number(figures.total('human_clickers'))} people, of {number(delivered)} delivered messages",
        ),
        (
            "Clicks by people",
            number(people),
            f"of {number(clicks)} clicks; the others are not people's, or not known",
        ),
    )
    inner = "".join(
        f'<div class="tile"><dt>{name}</dt><dd class="figure">{figure}</dd><dd class="note">{note}</dd></div>'
        for name, figure, note in tiles
    )
    return f'<section class="tiles" aria-label="In short"><dl class="tiles-list">{inner}</dl></section>\n'


def _funnel(figures: Figures) -> str:
    first = figures.total("targeted")
    rows = [{"step": name, "unit": unit, "value": figures.total(column)} for column, name, unit in STEPS]
    table = table_of(
        rows,
        ("Step", lambda row: row["step"], True),
        ("Counted in", lambda row: row["unit"], True),
        ("Number", lambda row: number(row["value"]), False),
        ("Of the targeted", lambda row: share(row["value"], first), False),
    )
    lede = (
        "From those who were meant to have a message to those who clicked, robots left out. Shares are of the targeted."
    )
    if len(figures.campaigns) > 1:
        lede += " Who is in two campaigns is counted twice."
    return _section("funnel", "The funnel", lede, table)


def _campaigns(figures: Figures) -> str:
    table = table_of(
        figures.campaigns,
        ("Campaign", campaign_name, True),
        ("Sending began (UTC)", lambda row: moment_text(row["sent_at"], "not yet"), True),
        ("Targeted", lambda row: number(row["targeted"]), False),
        ("Sent", lambda row: number(row["sent"]), False),
        ("Unsent", lambda row: number(row["unsent"]), False),
        ("Delivered", lambda row: number(row["delivered"]), False),
        ("of final", lambda row: percent(row["delivered_per_final"]), False),
        ("Pending", lambda row: number(row["pending"]), False),
        ("People clicked", lambda row: number(row["human_clickers"]), False),
        ("of delivered", lambda row: percent(row["human_clickers_per_delivered"]), False),
        ("Median time to click", lambda row: duration(row["seconds_to_human_click_median"]), False),
        kind="wide",
    )
    shown = sum(bool(row["targeted"]) for row in figures.campaigns)
    some = f"The newest {DRAWN_CAMPAIGNS} of {number(shown)} are drawn." if shown > DRAWN_CAMPAIGNS else ""
    legend = legend_list((f"step-{place}", name.lower()) for place, (_, name, _) in enumerate(STEPS, 1))
    lede = (
        f"Each bar is the campaign's targeted recipients; newest first. Clicked: people in a hundred delivered. {some}"
    )
    return _section("campaigns", "Campaigns", lede, table, legend=legend)


def _statuses(figures: Figures) -> str:
    messages = sum(row["messages"] for row in figures.statuses)
    table = table_of(
        figures.statuses,
        ("Status", lambda row: said_or(row["name"], "no status"), True),
        ("Taken as", lambda row: row["outcome"], True),
        ("Messages", lambda row: number(row["messages"]), False),
        ("Share", lambda row: share(row["messages"], messages), False),
    )
    present = {row["outcome"] for row in figures.statuses}
    legend = legend_list((outcome, outcome) for outcome in OUTCOMES if outcome in present)
    lede = "Messages by the status that the platform gives; pending may still become either."
    return _section("statuses", "Delivery by status", lede, table, legend=legend, half=True, empty=not figures.statuses)


def _reasons(figures: Figures) -> str:
    messages = sum(row["messages"] for row in figures.reasons)
    table = table_of(
        figures.reasons,
        ("Reason", lambda row: said_or(row["name"], "no reason"), True),
        ("Messages", lambda row: number(row["messages"]), False),
        ("Share", lambda row: share(row["messages"], messages), False),
    )
    lede = "Why messages were not sent; pending is not a failure."
    return _section("reasons", "Unsent", lede, table, half=True, empty=not figures.reasons)


def _hours(figures: Figures) -> str:
    def hour(row: Row) -> str:
        if row["hour"] < 0:
            return "before sending, or not known"
        return str(row["hour"]) if row["hour"] < HOURS else f"{HOURS} and later"

    table = table_of(
        figures.hours,
        ("Hour", hour, True),
        *((name.capitalize(), lambda row, kind=kind: number(row[kind]), False) for kind, name in CLICKS),
    )
    outside = sum(row[kind] for row in figures.hours for kind, _ in CLICKS if not 0 <= row["hour"] < HOURS)
    lede = f"Hours of the clock; 0 is the one in which sending began. The first {HOURS} are drawn"
    lede += f", {number(outside)} clicks fall outside them." if outside else "."
    return _section("hours", "Clicks since sending", lede, table, legend=legend_list(CLICKS), empty=not figures.hours)


def _links(figures: Figures) -> str:
    table = table_of(
        figures.links,
        ("Link", lambda row: said_or(row["name"], "no name"), True),
        ("Clickers", lambda row: number(row["clickers"]), False),
        *((f"Clicks: {name}", lambda row, kind=kind: number(row[kind]), False) for kind, name in CLICKS),
    )
    lede = "Clicks by the link's name, and the people among those who clicked."
    if len(figures.links) > DRAWN_ROWS:
        lede += f" The {DRAWN_ROWS} with most clicks of {number(len(figures.links))} are drawn."
    return _section("links", "Links", lede, table, legend=legend_list(CLICKS), empty=not figures.links)


def _devices(figures: Figures) -> str:
    table = table_of(
        figures.devices,
        ("Device", lambda row: row["device"], True),
        ("System", lambda row: row["os"], True),
        ("Browser", lambda row: row["browser"], True),
        ("Clicks by people", lambda row: number(row["clicks"]), False),
    )
    charts = "".join(
        f"<div><h3>{name}</h3>{chart(kind, 'Clicks by people, by ' + name.lower())}</div>"
        for kind, name in (("device", "Device"), ("os", "System"), ("browser", "Browser"))
    )
    lede = "Clicks by people, by what the user agent tells. In-app: shown inside another app."
    return _section(
        "devices", "Devices", lede, table, charts=f'<div class="columns">{charts}</div>', empty=not figures.devices
    )  # fmt: skip


def _states(figures: Figures) -> str:
    def state(report: str) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            word = row[f"{report}_state"]
            kind = word if word in SIGNS else "open"
            name = kind.replace(" ", "-")
            return f'<span class="state state-{name}"><b aria-hidden="true">{SIGNS[kind]}</b> {escape(word)}</span>'

        return cell

    marked = [(name, state(name)) for name in REPORTS]
    marked.append(("seen whole (UTC)", lambda row: moment_text(row["verified_at"], "not yet")))
    table = table_of(figures.campaigns, ("Campaign", campaign_name, True), marked=marked, kind="wide states")
    return (
        '<section id="states"><h2>What is final, and what is not</h2>'
        '<p class="lede">A settled report cannot change any more; an open one is asked again by the next load; a '
        "failed or held one shows the rows it had before. Figures move until all six are settled.</p>"
        f"{table}</section>\n"
    )


def _section(
    name: str, title: str, lede: str, table: str, *,
    legend: str = "", charts: str | None = None, half: bool = False, empty: bool = False,
) -> str:  # fmt: skip
    kind = ' class="half"' if half else ""
    if empty:
        body = '<p class="lede none">Nothing of this kind yet.</p>'
    else:
        body = (
            f'<p class="lede">{lede}</p>{legend}{chart(name, title) if charts is None else charts}'
            f'<details class="figures" open><summary>Figures as a table</summary>{table}</details>'
        )
    return f'<section id="{name}"{kind}><h2>{title}</h2>{body}</section>\n'


def drawn(figures: Figures) -> dict[str, Any]:
    """What charts.js draws."""
    newest = [row for row in figures.campaigns if row["targeted"]][:DRAWN_CAMPAIGNS]
    return {
        "funnel": [
            {"name": name, "unit": unit, "value": figures.total(column)} for column, name, unit in STEPS
        ],
        "campaigns": [
            {
                "name": campaign_name(row),
                "steps": [row[column] for column, _, _ in STEPS],
                "click_rate": percent(row["human_clickers_per_delivered"]),
            }
            for row in newest
        ],
        "statuses": [
            {"name": said_or(row["name"], "no status"), "outcome": row["outcome"], "value": row["messages"]}
            for row in figures.statuses[:DRAWN_ROWS]
        ],
        "reasons": [
            {"name": said_or(row["name"], "no reason"), "value": row["messages"]}
            for row in figures.reasons[:DRAWN_ROWS]
        ],
        "hours": [row for row in figures.hours if 0 <= row["hour"] < HOURS],
        "links": [{**row, "name": said_or(row["name"], "no name")} for row in figures.links[:DRAWN_ROWS]],
        **{kind: _summed(figures.devices, kind) for kind in ("device", "os", "browser")},
    }  # fmt: skip


def _summed(rows: Iterable[Row], kind: str) -> list[Row]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[kind]] = sums.get(row[kind], 0) + row["clicks"]
    # "other" is a remainder, and stands last however large it is.
    order = sorted(sums, key=lambda name: (name == "other", -sums[name], name))
    return [{"name": name, "value": sums[name]} for name in order]
