"""All assumptions with the findings of their judges: as a table for people, and one JSON document for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from passona.errors import Exit
from passona.masking.messages import counted, printable
from passona.monitoring.doctor import _connection, _paging, _zones
from passona.monitoring.doctor._evidence import Assumption, Evidence, Finding, Verdict, unclear

# In the order of the functions.
ASSUMPTIONS = tuple(
    value
    for module in (_connection, _paging, _zones)
    for value in vars(module).values()
    if isinstance(value, Assumption) and value.check.__module__ == module.__name__
)
# Judged even without the campaign list.
_ALWAYS = ("address", "token", "rate_limit")
_NO_LIST = unclear("there is no campaign list")
# Longer lines are hard to follow.
WIDEST = 120
_WORDS = {Exit.OK: "ok", Exit.TOKEN: "token refused"}


@dataclass(frozen=True)
class Diagnosis:
    """All assumptions with their findings, and the evidence."""

    evidence: Evidence
    findings: Sequence[tuple[Assumption, Finding]]

    @property
    def exit_code(self) -> Exit:
        """Return 0 unless something that matters is broken, or there is no campaign list; the lowest code wins."""
        codes = {
            each.exit_code for each, finding in self.findings if each.matters and finding.verdict is Verdict.BROKEN
        }
        codes |= set() if self.evidence.reached else {Exit.FAILED}
        return min(codes, default=Exit.OK)


def diagnose(evidence: Evidence) -> Diagnosis:
    """Check every assumption against the evidence."""
    return Diagnosis(
        evidence,
        [
            (each, each.check(evidence) if evidence.reached or each.name in _ALWAYS else _NO_LIST)
            for each in ASSUMPTIONS
        ],
    )


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Print a line for each assumption, and under it what to set or do."""
    screen = Console()
    console = Console(highlight=False, width=min(screen.width, WIDEST) if screen.is_terminal else WIDEST)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for header in ("", "assumption", "what was seen"):
        table.add_column(header, no_wrap=header != "what was seen", overflow="fold")
    for each, finding in diagnosis.findings:
        if finding is _NO_LIST:  # a dozen such lines would hide the one that says why
            continue
        text = Text.assemble((f"{each.says}: ", "dim"), printable(finding.seen))
        text.append(f"\n-> {printable(finding.to_do)}" if finding.to_do else "")
        table.add_row(_mark(each, finding), each.name, text)
    console.print(table)
    console.print(Text(_summary(diagnosis)), soft_wrap=True)


def _mark(each: Assumption, finding: Finding) -> Text:
    if finding.verdict is Verdict.HOLDS:
        return Text("ok", "green")
    if finding.verdict is Verdict.UNCLEAR:
        return Text("?", "dim")
    return Text("WRONG", "bold red") if each.matters else Text("differs", "yellow")


def _summary(diagnosis: Diagnosis) -> str:
    verdicts = [finding.verdict for _, finding in diagnosis.findings]
    hold, fail, open_ = map(verdicts.count, Verdict)
    evidence = diagnosis.evidence
    failure = "something is wrong" if evidence.reached else "nothing could be checked"
    return (
        f"{len(verdicts)} assumptions: {hold} hold, {fail} do not, {open_} unclear; "
        f"{counted(evidence.row_count, 'row')} of {counted(len(_campaigns(evidence)), 'campaign')}, "
        f"{counted(evidence.requests, 'request')}, {evidence.seconds:.1f} s: "
        f"{_WORDS.get(diagnosis.exit_code, failure)}"
    )


def _campaigns(evidence: Evidence) -> list[str]:
    return sorted({response.request.campaign_id for response in evidence.of() if response.rows})


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis for programs."""
    evidence = diagnosis.evidence
    return {
        "outcome": _WORDS.get(diagnosis.exit_code, "wrong").replace(" ", "_"),
        "exit_code": int(diagnosis.exit_code),
        "base_url": evidence.settings.base_url,
        "timezone": evidence.settings.timezone,
        "requests": evidence.requests,
        "seconds": round(evidence.seconds, 3),
        "campaigns": _campaigns(evidence),
        "rows": evidence.row_count,
        "assumptions": [
            {
                "name": each.name,
                "assumption": each.says,
                "verdict": str(finding.verdict),
                "matters": each.matters,
                "seen": finding.seen,
                "to_do": finding.to_do,
            }
            for each, finding in diagnosis.findings
        ],
    }
