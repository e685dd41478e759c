"""`passona report`: one HTML page of figures and charts, from the marts.

    marts -> Figures -> page.html (Jinja2, autoescaped) with page.css, charts.js, vendor/ -> one file

Tables work everywhere; where JavaScript runs, Observable Plot draws the charts as SVG in the page's colours (light,
dark, print). The page includes it and d3, on which it builds, as published, with their licences. The page's own policy
forbids every request, and every script but these.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from passona.analytics._figures import HOURS, Figures, Row, read_figures
from passona.config.address import Address, check_exists
from passona.errors import ConfigurationError
from passona.masking.messages import counted
from passona.reports.definitions import REPORTS
from passona.warehouse.atomic_file import AtomicFile, usual_mode
from passona.warehouse.database import open_reader

# How many are drawn; the tables have all.
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
FOLDER = Path(__file__).parent / "page_files"
_SCRIPTS = ("d3.min.js", "plot.umd.min.js", "charts.js")


def write_report(
    warehouse: Address,
    out: Path,
    campaign: str | None,
    wait: float,
    notify: Callable[[str], None],
    *,
    account: str | None = None,
) -> Figures:
    """Write the page, of one campaign, of one account, or of all. Replace `out` in one step.

    :raises ConfigurationError: no warehouse, no marts, no such campaign or account, no such folder.
    """
    if not out.parent.is_dir():
        raise ConfigurationError(f"the folder of the report does not exist: {out.parent}; make it first")
    check_exists(warehouse)
    with closing(open_reader(warehouse, wait, notify)) as connection:
        figures = read_figures(connection, campaign, account)
    try:
        with AtomicFile(out, usual_mode()).part() as part:
            part.write_text(_render(figures, datetime.now(UTC)), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"the report cannot be written: {error.strerror}: {out}") from error
    return figures


def _render(figures: Figures, made_at: datetime) -> str:
    """Return the whole file. `made_at`: in UTC."""
    paths = [FOLDER / "page.css", FOLDER / "charts.js", *(FOLDER / "vendor").iterdir()]
    texts = {path.name: path.read_text("utf-8") for path in paths}
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(_FILTERS)
    return environment.get_template("page.html").render(
        figures=figures,
        made_at=made_at,
        version=version("passona-warehouse"),
        policy=_policy(texts[name] for name in _SCRIPTS),
        # Our own files: nothing in them is escaped, but the licences are text.
        files={name: text if name.endswith(".txt") else Markup(text) for name, text in texts.items()},  # noqa: S704
        scripts=_SCRIPTS,
        charts_data=[_charts(each) for each in (figures, *figures.accounts)],
        steps=STEPS,
        clicks=CLICKS,
        step_colours=[(f"step-{number}", name.lower()) for number, (_, name, _) in enumerate(STEPS, 1)],
        hours=HOURS,
        drawn_campaigns=DRAWN_CAMPAIGNS,
        drawn_rows=DRAWN_ROWS,
        report_names=list(REPORTS),
        signs=SIGNS,
    )


def _policy(scripts: Iterable[str]) -> str:
    """Forbid every request, and every script but these, by their digests."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _charts(figures: Figures) -> dict[str, Any]:
    """Return what charts.js draws."""
    newest = [row for row in figures.campaigns if row["targeted"]][:DRAWN_CAMPAIGNS]
    return {
        "funnel": [{"name": name, "unit": unit, "value": figures.total(column)} for column, name, unit in STEPS],
        "campaigns": [
            {
                "name": campaign_name(row),
                "steps": [row[column] for column, _, _ in STEPS],
                "click_rate": percent(row["human_clickers_per_delivered"]),
            }
            for row in newest
        ],
        "statuses": [
            {"name": text(row["name"], "no status"), "outcome": row["outcome"], "value": row["messages"]}
            for row in figures.statuses[:DRAWN_ROWS]
        ],
        "reasons": [
            {"name": text(row["name"], "no reason"), "value": row["messages"]} for row in figures.reasons[:DRAWN_ROWS]
        ],
        "hours": [row for row in figures.hours if 0 <= row["hour"] < HOURS],
        "links": [{**row, "name": text(row["name"], "no name")} for row in figures.links[:DRAWN_ROWS]],
        **{kind: _clicks_by(kind, figures.devices) for kind in ("device", "os", "browser")},
    }


def _clicks_by(kind: str, rows: Iterable[Row]) -> list[Row]:
    sums = Counter[str]()
    for row in rows:
        sums[row[kind]] += row["clicks"]
    # "other" is a remainder, and comes last however large it is.
    order = sorted(sums, key=lambda name: (name == "other", -sums[name], name))
    return [{"name": name, "value": sums[name]} for name in order]


def campaign_name(row: Row) -> str:
    return str(row["name"] or f"campaign {row['campaign_id'][:8]}")


def outcome_colours(statuses: Iterable[Row]) -> list[tuple[str, str]]:
    """Return colour and name of the outcomes that occur, for a legend."""
    outcomes = {row["outcome"] for row in statuses}
    return [(outcome, outcome) for outcome in OUTCOMES if outcome in outcomes]


def text(value: str | None, default: str) -> str:
    return value if value and value.strip() else default


def number(value: int) -> str:
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)


def percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:.1f}%"


def day(time: datetime) -> str:
    return f"{time.day} {time:%b %Y}"


def moment(time: datetime | None, default: str = "") -> str:
    return f"{day(time)}, {time:%H:%M}" if time else default


def hour(since_sending: int) -> str:
    if since_sending < 0:
        return "before sending, or not known"
    return str(since_sending) if since_sending < HOURS else f"{HOURS} and later"


def duration(seconds: float | None) -> str:
    """Return 42 s, 12 min, 3.4 h, 2.1 days."""
    if seconds is None:
        return "–"
    for size, unit, digits in ((86400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


_FILTERS = {
    function.__name__: function
    for function in (campaign_name, outcome_colours, text, number, counted, share, percent, day, moment, hour, duration)
}
