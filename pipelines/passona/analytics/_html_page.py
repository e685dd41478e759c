"""The report as one HTML file: tables for everyone, charts where JavaScript runs, nothing from elsewhere.

    figures -> page (page_files/page.html, page.css, charts.js, vendor/) -> text of the file

Observable Plot draws the charts, because it makes SVG that takes its colours from the page (light, dark,
print) and has marks enough that a chart is a few lines; it stands in the page with d3, on which it is
built, as both are published, with their licences. Every text from the warehouse is escaped. The page's
own policy forbids it to ask for anything, and to run a script that is not one of these.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import Any

import orjson

from passona.analytics._figures import Figures
from passona.analytics._html_format import campaign_name, day, moment_text, number
from passona.analytics._html_sections import drawn, sections
from passona.masking.messages import escaped

ALL_CAMPAIGNS = "All campaigns"


def page(figures: Figures, made_at: datetime) -> str:
    """The whole file. `made_at`: an instant in UTC."""
    folder = files("passona.analytics") / "page_files"
    read = {name: (folder / name).read_text("utf-8") for name in ("page.html", "page.css", "charts.js")}
    d3, plot, licences = (
        (folder / "vendor" / name).read_text("utf-8") for name in ("d3.min.js", "plot.umd.min.js", "LICENSES.txt")
    )
    title = campaign_name(figures.campaigns[0]) if len(figures.campaigns) == 1 else ALL_CAMPAIGNS
    return Template(read["page.html"]).substitute(
        policy=_policy(d3, plot, read["charts.js"]),
        version=escape(version("passona-warehouse")),
        title=escape(title),
        subtitle=_subtitle(figures, made_at),
        notice=_notice(figures),
        sections="".join(sections(figures)),
        footer=_FOOTER,
        licences=escape(licences),
        style=read["page.css"],
        figures=_embedded(drawn(figures)),
        d3=d3,
        plot=plot,
        charts=read["charts.js"],
    )


def _policy(*scripts: str) -> str:
    """Nothing may be fetched, and no script runs but these, known by what they are."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _embedded(document: Any) -> str:
    """JSON that no text in it can break out of."""
    text = escaped(orjson.dumps(document).decode())
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _subtitle(figures: Figures, made_at: datetime) -> str:
    began = [row["sent_at"] for row in figures.campaigns if row["sent_at"]]
    parts = []
    if len(figures.campaigns) != 1:
        parts.append(f"{number(len(figures.campaigns))} campaigns")
    if began:
        first, last = day(min(began)), day(max(began))
        parts.append(f"sent {first}" if first == last else f"sent {first} to {last}")
    loaded = figures.loaded_at
    parts.append(f"loaded {moment_text(loaded)} UTC" if loaded else "not loaded yet")
    parts.append(f"page made {moment_text(made_at)} UTC")
    return " · ".join(parts)


def _notice(figures: Figures) -> str:
    """What a reader must know before the figures."""
    moving, many = sum(not row["is_final"] for row in figures.campaigns), len(figures.campaigns) > 1
    said = []
    if figures.stale:
        some = f"{number(figures.stale)} campaign{'' if figures.stale == 1 else 's'}"
        whose = f"The tables of {some}" if many else "Its tables"
        said.append(
            f"{whose} changed after these figures were computed: run passona transform, then make the page anew."
        )
    if figures.interrupted:
        some = f"{number(figures.interrupted)} campaign{'' if figures.interrupted == 1 else 's'}"
        whose = f"A load of {some}" if many else "Its last load"
        said.append(
            f"{whose} was interrupted: the figures are of the load before, or missing. Run passona load, then passona "
            "transform, and make the page anew."
        )
    if moving:
        whose = f"{number(moving)} of {number(len(figures.campaigns))} campaigns" if many else "this campaign"
        link = '<a href="#states">What is final, and what is not</a>'
        said.append(f"The figures of {whose} may still move: not all reports are settled. {link}")
    return "".join(f'<p class="notice">{line}</p>\n' for line in said)


_FOOTER = """<h2>How to read this</h2>
<ul>
<li>Delivered is counted among messages with a final status, delivered or failed; pending ones are apart.</li>
<li>Clicks are sorted by their user agent: people, previews by messengers and phones, robots.
Nothing is thrown away; one without a user agent is not known.</li>
<li>Who opts out is not in these reports.</li>
<li>This page holds sums alone: no phone number and no message. It asks nothing of any server.</li>
</ul>
"""
