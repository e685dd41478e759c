"""One run: its row in `runs`, and its log records, with one line for a cause that many reports share."""

import logging
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime

log = logging.getLogger("passona")


@dataclass
class RunRecord:
    """A run as the table `runs` records it.

    `account`: None for a verb that works on the whole warehouse; `label`: its name in messages, if it has one.
    `outcome`: until the run ends, what a killed run leaves. `began`, `ended`: in UTC; None for the database's clock.
    """

    verb: str
    account: str | None = None
    label: str | None = None
    outcome: str = "running"
    requests: int = 0
    row_count: int = 0
    erased: int = 0
    campaign_id: str | None = None
    report: str | None = None
    began: datetime | None = None
    ended: datetime | None = None
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class RunLog(logging.Filter):
    """Marks log records with the run that they belong to, from `begin` to `end`.

    Of several runs at the same time, each has the records of its account, and the first one those of none.

    If many reports fail for one cause, text shows the first, and at the end how many more there were; JSON has a line
    for each. Records that only JSON shows have `again=True`, the count that only text shows has `again=False`.
    """

    def __init__(self, run: RunRecord) -> None:
        super().__init__()
        self._fields, self._label = {"run_id": run.run_id, "verb": run.verb}, run.label
        self._begun = time.monotonic()
        self._campaigns: dict[tuple[int, str], list[str]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.__dict__.get("account") not in (None, self._label) or "run_id" in record.__dict__:
            return True
        record.__dict__.update(self._fields)
        if record.levelno >= logging.WARNING and "report" in record.__dict__:
            campaigns = self._campaigns.setdefault((record.levelno, _cause(record)), [])
            if campaigns:
                record.again = True
            campaigns.append(record.__dict__["campaign"])
        return True

    def begin(self, address: object) -> None:
        log.addFilter(self)
        fields = {"event": "run_begun", "account": self._label}
        log.info("%s begins: %s", self._fields["verb"], address, extra=fields)

    def log_outcome(self, outcome: str, requests: int, row_count: int) -> None:
        seconds = round(time.monotonic() - self._begun, 3)
        fields = {"outcome": outcome, "requests": requests, "rows": row_count, "seconds": seconds}
        fields |= {"event": "run_ended", "account": self._label}
        log.info("ended after %.1f s: %s", seconds, outcome, extra=fields)

    def end(self) -> None:
        log.removeFilter(self)
        for (level, cause), campaigns in self._campaigns.items():
            if more := len(campaigns) - 1:
                where = f"{more} more reports, {len(set(campaigns))} campaigns in all"
                log.log(level, "%s: %s", where, cause, extra={"event": "again", "again": False})


def _cause(record: logging.LogRecord) -> str:
    """Return what a message says after campaign and report."""
    return record.getMessage().partition(f"{record.__dict__['report']}: ")[2] or record.getMessage()
