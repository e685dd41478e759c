"""What people and programs see of a diagnosis: a table that lines up, or one JSON document."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from passona.errors import Exit
from passona.masking.messages import printable
from passona.monitoring.doctor._findings import Assumption, Diagnosis, Finding, Verdict
from passona.monitoring.doctor._words import several
from passona.monitoring.doctor.assumptions import NOTHING

# A line longer than this is hard to follow; a terminal that is narrower wraps earlier.
WIDEST = 120
_WORDS = {Exit.OK: "ok", Exit.TOKEN: "token refused"}


def mark(assumption: Assumption, finding: Finding) -> tuple[str, str]:
    """The word in front of a line, and its colour."""
    if finding.verdict is Verdict.HOLDS:
        return "ok", "green"
    if finding.verdict is Verdict.UNCLEAR:
        return "?", "dim"
    return ("WRONG", "bold red") if assumption.matters else ("differs", "yellow")


def waiting() -> AbstractContextManager[Any]:
    """A sign on a terminal that something is under way, as long as the block lasts; elsewhere nothing."""
    return Console(stderr=True).status("asking the API")


def print_diagnosis(found: Diagnosis) -> None:
    """A line for each assumption; under it, what to set or do."""
    screen = Console()
    console = Console(highlight=False, width=min(screen.width, WIDEST) if screen.is_terminal else WIDEST)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for header in ("", "assumption", "what was seen"):
        table.add_column(header, no_wrap=header != "what was seen", overflow="fold")
    for assumption, finding in found.findings:
        if finding is NOTHING:  # thirty lines of it would hide the one that says why
            continue
        word, colour = mark(assumption, finding)
        table.add_row(Text(word, colour), assumption.name, _cell(assumption, finding))
    console.print(table)
    console.print(Text(summary(found)), soft_wrap=True)


def _cell(assumption: Assumption, finding: Finding) -> Text:
    text = Text.assemble((f"{assumption.says}: ", "dim"), printable(finding.seen))
    return text.append(f"\n-> {printable(finding.to_do)}") if finding.to_do else text


def summary(found: Diagnosis) -> str:
    """The closing line."""
    hold, fail, open_ = (found.count(verdict) for verdict in Verdict)
    seen = found.sightings
    campaigns = len({answer.ask.campaign_id for answer in seen.of() if answer.rows})
    return (
        f"{len(found.findings)} assumptions: {hold} hold, {fail} do not, {open_} cannot be told; "
        f"{several(seen.row_count, 'row')} of {several(campaigns, 'campaign')}, "
        f"{several(seen.requests, 'request')}, {seen.seconds:.1f} s: "
        f"{_WORDS.get(found.exit_code, 'something is wrong' if seen.reached else 'nothing could be checked')}"
    )


def document(found: Diagnosis) -> dict[str, Any]:
    """The same for programs."""
    seen = found.sightings
    return {
        "outcome": _WORDS.get(found.exit_code, "wrong").replace(" ", "_"),
        "exit_code": int(found.exit_code),
        "base_url": seen.settings.base_url,
        "timezone": seen.settings.timezone,
        "requests": seen.requests,
        "seconds": round(seen.seconds, 3),
        "campaigns": sorted({answer.ask.campaign_id for answer in seen.of() if answer.rows}),
        "rows": seen.row_count,
        "assumptions": [
            {
                "name": assumption.name,
                "assumption": assumption.says,
                "verdict": str(finding.verdict),
                "matters": assumption.matters,
                "seen": finding.seen,
                "to_do": finding.to_do,
                "facts": finding.facts,
            }
            for assumption, finding in found.findings
        ],
    }
