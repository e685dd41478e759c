"""How the page writes numbers, moments and names, and the few pieces of HTML it is made of.

Every text that is given is escaped here, but for what `marked` columns give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape

from passona.analytics._figures import Row

Column = tuple[str, Callable[[Row], str], bool]


def campaign_name(row: Row) -> str:
    return str(row["name"] or f"campaign {row['campaign_id'][:8]}")


def said_or(text: str | None, nothing: str) -> str:
    return text if text and text.strip() else nothing


def number(value: int) -> str:
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)


def percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:.1f}%"


def day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def moment_text(moment: datetime | None, nothing: str = "") -> str:
    return f"{day(moment)}, {moment:%H:%M}" if moment else nothing


def duration(seconds: float | None) -> str:
    """So that it is read at a glance: 42 s, 12 min, 3.4 h, 2.1 days."""
    if seconds is None:
        return "–"
    for size, unit, digits in ((86400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def chart(name: str, title: str) -> str:
    label = f"Chart: {escape(title)}; its figures are in the table"
    return f'<div class="chart" role="img" aria-label="{label}" data-chart="{name}"></div>'


def legend_list(entries: Iterable[tuple[str, str]]) -> str:
    items = "".join(f'<li><i style="--swatch: var(--{colour})"></i>{name}</li>' for colour, name in entries)
    return f'<ul class="legend">{items}</ul>'


def table_of(
    rows: Sequence[Row], *columns: Column, marked: Sequence[tuple[str, Callable[[Row], str]]] = (), kind: str = ""
) -> str:
    """A table; what columns give is text and is escaped, what `marked` gives is HTML of our own."""
    head = [_cell("th", escape(name), scope="col", side="text" if text else "") for name, _, text in columns]
    head += [_cell("th", name, scope="col") for name, _ in marked]
    body = []
    for row in rows:
        cells = [
            _cell("td" if place else "th", escape(give(row)), scope="" if place else "row", side="text" if text else "")
            for place, (_, give, text) in enumerate(columns)
        ]
        body.append(f"<tr>{''.join(cells)}{''.join(_cell('td', give(row)) for _, give in marked)}</tr>")
    opening = f'<table class="{kind}">' if kind else "<table>"
    return (
        f'<div class="scroll" tabindex="0">{opening}<thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(tag: str, inner: str, *, scope: str = "", side: str = "") -> str:
    attributes = (f' scope="{scope}"' if scope else "") + (f' class="{side}"' if side else "")
    return f"<{tag}{attributes}>{inner}</{tag}>"
