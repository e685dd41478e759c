"""`--metrics FILE`: how a load ended and how fresh the warehouse is, for whoever watches over it.

    outcome, ledger and runs -> families -> OpenMetrics text -> put in place whole

Gauges alone: they read the same in OpenMetrics and in the older text format of Prometheus, by which node_exporter
reads the files of its folder. Numbers, names of reports and of outcomes; no campaign, nothing personal. Where the
warehouse cannot be read (another run holds it), what the file said of it before is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from passona.config.address import Address, exists
from passona.errors import PassonaError
from passona.reports.definitions import REPORTS
from passona.warehouse.connection import Connection, error_kinds
from passona.warehouse.database import open_reader
from passona.warehouse.ledger_table import Ledger
from passona.warehouse.replacement import Replacement

OUTCOMES = ("ok", "error", "usage", "token refused", "failed", "held", "busy", "interrupted")
STATES = ("open", "settled", "failed", "held")
RESULTS = ("loaded", "unchanged", "failed", "held")

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Family:
    """One metric: its samples by their labels. `unit`: the last word of its name, if it has one."""

    name: str
    help: str
    samples: Sequence[tuple[Labels, float]]
    unit: str = ""

    def __str__(self) -> str:
        lines = [f"# HELP {self.name} {_escaped(self.help)}", f"# TYPE {self.name} gauge"]
        if self.unit:
            lines.append(f"# UNIT {self.name} {self.unit}")
        for labels, value in self.samples:
            words = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            lines.append(f"{self.name}{{{words}}} {value:.15g}" if words else f"{self.name} {value:.15g}")
        return "".join(f"{line}\n" for line in lines)


def write_metrics(file: Replacement, document: Mapping[str, Any], seconds: float, address: Address | None) -> None:
    """Writes the file anew. `document`: the outcome as JSON has it. `address`: of the warehouse, if it is known.

    :raises OSError: it could not be written; the old one stays.
    """
    facts = "".join(map(str, _of_warehouse(address))) or _kept(file.path)
    text = "".join(map(str, _of_run(document, seconds))) + facts + "# EOF\n"
    with file.part() as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _of_run(document: Mapping[str, Any], seconds: float) -> Iterator[Family]:
    def one(name: str, words: str, value: float, unit: str = "") -> Family:
        return Family(f"passona_{name}", words, [({}, value)], unit)

    yield Family("passona_version", "Version of this program; always 1.", [({"version": _version()}, 1)])
    yield one("load_exit_code", "What the last load ended with; 0: all that was due is loaded.", document["exit_code"])
    yield Family(
        "passona_load_outcome",
        "1 for what the last load came to, 0 for all else.",
        [({"outcome": word}, document["outcome"] == word) for word in OUTCOMES],
    )
    now = datetime.now().astimezone().timestamp()
    yield one("load_end_timestamp_seconds", "When the last load ended.", now, "seconds")
    yield one("load_duration_seconds", "How long it took, with all that followed it.", seconds, "seconds")
    if "requests" in document:
        yield one("load_requests", "Requests it sent to the API.", document["requests"])
        yield one("load_campaigns", "Campaigns it looked at.", document["campaigns"])
        yield from _of_reports(document["reports"])
    for verb in ("transform", "publish"):
        if verb in document:
            yield one(f"{verb}_exit_code", f"What {verb} ended with after it.", document[verb]["exit_code"])


def _of_reports(reports: Mapping[str, Mapping[str, int]]) -> Iterator[Family]:
    yield Family(
        "passona_load_reports",
        "Reports of campaigns, by what became of them in the last load.",
        [({"report": name, "result": word}, counts[word]) for name, counts in reports.items() for word in RESULTS],
    )
    yield Family(
        "passona_load_rows",
        "Rows the last load wrote.",
        [({"report": name}, counts["rows"]) for name, counts in reports.items()],
    )


def _of_warehouse(address: Address | None) -> list[Family]:
    """What the warehouse says of itself; nothing where it cannot be asked."""
    if address is None or not exists(address):
        return []
    try:
        with closing(open_reader(address, 0, lambda _line: None)) as connection:
            return list(_facts(connection))
    except _failures():
        return []


def _failures() -> tuple[type[Exception], ...]:
    """Why it could not be asked."""
    return PassonaError, *error_kinds()


def _facts(connection: Connection) -> Iterator[Family]:
    ends = connection.execute(
        "SELECT verb, max(finished_at) FROM passona.runs WHERE outcome = 'ok' AND verb IN ('load', 'transform') "
        "GROUP BY verb ORDER BY verb"
    ).fetchall()
    yield Family(
        "passona_last_success_timestamp_seconds",
        "When a run of this verb last ended well; what follows a load in the same run is not counted.",
        [({"verb": verb}, end.timestamp()) for verb, end in ends],
        "seconds",
    )
    entries = Ledger(connection).values()
    states: Counter[tuple[str, str]] = Counter((entry.report, entry.state) for entry in entries)
    yield Family(
        "passona_reports",
        "Reports of campaigns in the warehouse, by their state.",
        [({"report": name, "state": word}, states[name, word]) for name in REPORTS for word in STATES],
    )
    found = connection.execute("SELECT campaign_id FROM passona.campaigns WHERE listed").fetchall()
    listed = {campaign_id for (campaign_id,) in found}
    oldest: dict[str, datetime] = {}
    for entry in entries:
        # Of what has left the list, or was given up by its age, nothing newer will ever come.
        if entry.state != "settled" and entry.verified_at and entry.campaign_id in listed and not entry.expired_at:
            oldest[entry.report] = min(entry.verified_at, oldest.get(entry.report, entry.verified_at))
    yield Family(
        "passona_oldest_verified_timestamp_seconds",
        "Of the reports that may still change, how old the oldest is that is in the warehouse.",
        [({"report": name}, oldest[name].timestamp()) for name in REPORTS if name in oldest],
        "seconds",
    )


_FACTS = re.compile(
    r"^# HELP passona_(?:last_success_timestamp_seconds|reports|oldest_verified_timestamp_seconds) .*\n"
    r"(?:(?!# HELP |# EOF).*\n)*",
    re.MULTILINE,
)


def _kept(path: Path) -> str:
    """What an older file says of the warehouse."""
    try:
        return "".join(_FACTS.findall(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError):
        return ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _version() -> str:
    return version("passona-warehouse")
