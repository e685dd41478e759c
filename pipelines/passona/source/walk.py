"""One complete walk of one report: its pages are spooled, and verified before they count.

    Paginator -> Spool -> Walk

A walk counts only if `total`, `last_page` and `per_page` are the same on all its pages, every page but the last is
full, the chain of next links leads through all of them, it has `total` rows, and no shift put a row on two pages.
Otherwise the report is walked again. The API pages by offset over data that moves and has no cursor: this is all the
proof there is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from passona.config.settings import Settings
from passona.errors import PageRefused, RequestFailed, WalkFailed
from passona.masking.policy import CLEAR, Privacy
from passona.reports.definitions import Report
from passona.reports.row_ids import Ordinals, listed
from passona.reports.times import instants
from passona.source.client import Client
from passona.source.page_pool import PagePool
from passona.source.pages import Page
from passona.source.paginator import Paginator
from passona.source.rows import ROW_ID
from passona.source.spool import Spool

log = logging.getLogger("passona")

# Pauses between the three walks of a report, in retry pauses of 0.5 s: 2 s, then 8 s. Rows that move
# because a campaign sends calm down in seconds, or not tonight.
WALK_PAUSES = (4, 16)

# The report is not available, now or later: pages fetched before such an answer are useless.
REFUSED = frozenset({403, 404, 410})

OnPage = Callable[[Report, Page], None]


@dataclass
class Walk:
    """A verified walk. `zone`: of its times without an offset. `attempts`: how many walks it took."""

    report: Report
    campaign_id: str
    spool: Spool
    zone: str
    attempts: int = 1
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = self.spool.fingerprint.digest()

    @property
    def at(self) -> datetime:
        """When the walk that counts began (UTC): no row in it is older."""
        return self.spool.at

    @property
    def row_count(self) -> int:
        return len(self.spool)

    @property
    def total(self) -> int:
        """Its rows, suppressed ones included."""
        return self.row_count + self.spool.suppressed

    @property
    def pages(self) -> int:
        return self.spool.last_page

    def ordinals(self) -> Ordinals:
        return Ordinals(self.spool.fingerprint.repeated())

    def last_time(self) -> datetime | None:
        """Return the last instant in its rows, in UTC."""
        keys = [column.key for column in self.report.columns if column.kind == "time"]
        texts = (pa.concat_arrays([batch.column(k) for batch in piece]) for piece in self.spool.pieces() for k in keys)
        latest = [pc.max(instants(column, self.zone)[0]).as_py() for column in texts]
        return max((time for time in latest if time is not None), default=None)


class Walker:
    """Walks reports, several at a time. `pool` fetches the pages; `on_page` is called with each accepted page."""

    def __init__(
        self,
        client: Client,
        pool: PagePool,
        settings: Settings,
        spools: Path,
        on_page: OnPage = lambda _report, _page: None,
        *,
        privacy: Privacy = CLEAR,
    ) -> None:
        self._client, self._pool, self._settings = client, pool, settings
        self._spools, self._on_page, self._privacy = spools, on_page, privacy

    def walk(
        self,
        report: Report,
        campaign_id: str,
        known_digest: str | None = None,
        after: datetime | None = None,
        *,
        address: str = "",
    ) -> Walk:
        """Return a verified walk of a report.

        `known_digest`: of its content when it was last verified. `after`: a walk that was killed is resumed only if it
        began after this. `address`: the campaign as its address spells it, if different from its id.

        :raises WalkFailed: there is no complete walk; says what was expected and what came.
        :raises TokenRefused, Stopped: the run ends.
        """
        path = f"reporting/{address or campaign_id}/{report.name}"
        paginator = Paginator(self._client, self._pool, path, self._settings.page_size)
        seen = {known_digest}
        reason, confirming = "", False
        for attempt, pause in enumerate((0, *WALK_PAUSES), 1):
            # The second walk only confirms the first: the sooner, the less has changed.
            self._client.pace.sleep(0 if confirming else self._settings.retry_pause * pause)
            confirming = False
            try:
                file, now = self._spools / f"{campaign_id}.{report.name}.arrow", self._client.clock.utc()
                accounts = len(self._settings.all_accounts)
                new = Spool(report, campaign_id, file, now, self._privacy, accounts=accounts)
                spool = self._once(paginator, new, after)
                walk = Walk(report, campaign_id, spool, self._settings.timezone, attempt)
                if walk.digest in seen or not _has_row_on_two_pages(walk):
                    return walk
                confirming = seen == {known_digest}
                seen.add(walk.digest)
                walk.spool.drop()
                reason = "expected each row on one page, got rows on two pages and other ones in each walk"
            except PageRefused as refusal:
                reason = str(refusal)
                if refusal.page_size:
                    paginator.ask_plain()
            except RequestFailed as error:
                raise WalkFailed(_message(report, campaign_id, str(error)), attempt, error.status) from None
            fields = {"event": "walk_repeated", "account": self._settings.label, "attempt": attempt}
            fields |= {"campaign": campaign_id, "report": report.name}
            log.info("campaign %s, %s, walk %d: %s", campaign_id, report.name, attempt, reason, extra=fields)
        raise WalkFailed(_message(report, campaign_id, f"{reason} (walked {attempt} times)"), attempt)

    def _once(self, paginator: Paginator, spool: Spool, after: datetime | None) -> Spool:
        """Walk once. If the walk may succeed later, its file stays, so that a later walk can resume it.

        :raises PageRefused: a page does not belong to a complete, steady walk.
        """
        try:
            first = paginator.first()
            spool = _resumed(spool, paginator, first, after)
            self._spool_pages(spool, paginator, first)
        except BaseException as error:
            spool.release()
            if isinstance(error, PageRefused) or getattr(error, "status", None) in REFUSED:
                spool.drop()
            raise
        return spool

    def _spool_pages(self, spool: Spool, paginator: Paginator, first: Page) -> None:
        self._on_page(spool.report, first)
        for page in paginator.rest(first, behind=spool.last_page):
            spool.add(page)
            self._on_page(spool.report, page)
        spool.finish()
        if len(spool) + spool.suppressed != first.total:
            raise PageRefused(f"{first.total} rows in all (meta.total)", f"{len(spool) + spool.suppressed} rows")


def _resumed(spool: Spool, paginator: Paginator, first: Page, after: datetime | None) -> Spool:
    """Return a spool with the pages of a killed walk if nothing moved since, otherwise with page 1 only."""
    at = spool.at
    if spool.resume(first, after):
        if spool.goes_on(paginator.again(first, spool.last_page)):
            return spool
        spool.drop()
        spool = spool.restarted(at)
    spool.add(first)
    return spool


def _has_row_on_two_pages(walk: Walk) -> bool:
    """Return True if equal rows are on different pages: two equal clicks, or one row that a shift doubled."""
    repeated = walk.spool.fingerprint.repeated()
    if not repeated:
        return False
    if walk.spool.suppressed:
        return True  # the position of a row no longer tells its page
    ordinals = Ordinals(repeated)
    pages: dict[str, int] = {}
    position = 0
    for batch in walk.spool.batches():
        for row_id in listed(batch.column(ROW_ID)):
            page = position // walk.spool.per_page
            if ordinals.repeats(row_id) and pages.setdefault(row_id, page) != page:
                return True
            position += 1
    return False


def _message(report: Report, campaign_id: str, reason: str) -> str:
    return f"campaign {campaign_id}, {report.name}: {reason}; nothing of it was changed, the next load asks again"
