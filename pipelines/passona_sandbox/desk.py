"""Request -> response: authorisation, routing, rate limit, faults, pages.

Addresses and statuses are those of the guide: GET `campaigns`, GET and POST `reporting/{uuid}/{report}`
below `/api/2.0/`, and the links of mails. A fault may strike any authorised request to the API.
"""

from collections.abc import Generator, Hashable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from threading import Lock
from time import monotonic

from passona_sandbox.account import Account
from passona_sandbox.bad_answers import ANSWERS
from passona_sandbox.bad_pages import EDITS, PAGES
from passona_sandbox.edits import View
from passona_sandbox.faults import Fault, Faults
from passona_sandbox.journal import Journal, Record
from passona_sandbox.mailroom import ROOT as EXPORTS
from passona_sandbox.mailroom import Mailroom
from passona_sandbox.pages import Book, number, render
from passona_sandbox.refusals import refusal
from passona_sandbox.reports import CAMPAIGNS, CAMPAIGNS_PAGE_SIZE, REPORT_PAGE_SIZE, REPORTS, Visit
from passona_sandbox.switches import Switches
from passona_sandbox.wire import Request, Response

ROOT = "api/2.0/"
# Pages that are kept rendered, because tests read the same ones again and again.
KEPT_PAGES = 256
_METHODS = {CAMPAIGNS: ("GET",), **dict.fromkeys(REPORTS, ("GET", "POST"))}


class Desk:
    """Answers requests for an account, thread-safe. Set `origin` before the first request: links need it."""

    def __init__(self, account: Account, switches: Switches) -> None:
        self.account, self.switches = account, switches
        self.faults, self.journal, self.origin = Faults(()), Journal(), ""
        self._meter, self._mailroom = _Meter(), Mailroom()
        self._pages: dict[Hashable, bytes] = {}

    @contextmanager
    def answering(self, request: Request) -> Generator[Response, None, None]:
        """Yield the recorded answer to a request; the request counts as in flight until the exit."""
        query = request.query
        visit = _visit(request, query)
        record = _record(request, query, visit, self.journal.begin())
        try:
            response = self._admitted(request, query, visit) if visit else self._unlisted(request)
            response.pause += self.switches.latency
            if request.method == "HEAD":
                response.body = b""
            self.journal.write(replace(record, status=0 if response.ending == "close" else response.status))
            yield response
        finally:
            self.journal.end()

    def _admitted(self, request: Request, query: dict[str, str], visit: Visit) -> Response:
        switches = self.switches
        if request.method not in _METHODS[visit.report]:
            return self._no(405, {"Allow": ", ".join(_METHODS[visit.report])})
        if request.headers.get("authorization") != f"Bearer {switches.token}":
            return self._no(401, message="Unauthenticated.")
        passes, headers = self._meter.admit(switches)
        if not passes:
            return self._no(429, headers, "Too Many Attempts.")
        faults = self.faults.strike(visit)
        response = self._page(request.method, query, visit, faults)
        response.headers.update(headers)
        for fault in faults:
            if spoil := ANSWERS.get(fault.kind):
                response = spoil(response, switches.error_shape, **fault.options)
        return response

    def _page(self, method: str, query: dict[str, str], visit: Visit, faults: Sequence[Fault]) -> Response:
        switches = self.switches
        try:
            self._move_rows(visit, faults)
            view = self._view(visit)
        except KeyError:
            if switches.unknown_campaign == "refused":
                return self._no(404, message="The requested resource was not found.")
            view = View(0, lambda _: {})
        if self.account.is_refused(visit.campaign):
            return self._no(403, message="This action is unauthorized.")
        if method != "POST":
            return self._served(view, query, visit, faults)
        self._mailroom.make(visit.campaign, visit.report, view, self.origin, switches.mail_folder)
        return Response(202)

    def _served(self, view: View, query: dict[str, str], visit: Visit, faults: Sequence[Fault]) -> Response:
        switches = self.switches
        asked = number(query.get("per_page"), 0)
        if switches.per_page_error and switches.honour_per_page and asked > switches.per_page_limit:
            return self._no(switches.per_page_error, message="The per page is too large.")
        book = Book(view, self._address(visit), self._size(view, visit, asked), visit.report == CAMPAIGNS)
        if switches.past_end_error and visit.page > book.last:
            return self._no(switches.past_end_error, message="There is no such page.")
        if spoilers := [fault for fault in faults if fault.kind in PAGES]:
            page = book.page(visit.page)
            for fault in spoilers:
                PAGES[fault.kind](page, book, visit, **fault.options)
            return Response(200, render(page))
        key = (view.revision, book.path, book.size, visit.page, switches.teams)
        body = self._pages.get(key)
        if body is None:
            if len(self._pages) >= KEPT_PAGES:
                self._pages.clear()
            self._pages[key] = body = render(book.page(visit.page))
        return Response(200, body)

    def _unlisted(self, request: Request) -> Response:
        """Answer a link of a mail, or 404."""
        path = request.path.strip("/")
        export = self._mailroom.fetch(path) if path.startswith(EXPORTS) else None
        return export or self._no(404)

    def _move_rows(self, visit: Visit, faults: Sequence[Fault]) -> None:
        for fault in faults:
            if make_edit := EDITS.get(fault.kind):
                view = self._view(visit)
                edit = make_edit(view.row(0) if view.count else {}, **fault.options)
                self.account.edit(visit.campaign, visit.report, edit)

    def _view(self, visit: Visit) -> View:
        if visit.report == CAMPAIGNS:
            return self.account.listed(self.switches.teams)
        return self.account.view(visit.campaign, visit.report, self.switches.teams)

    def _size(self, view: View, visit: Visit, asked: int) -> int:
        switches = self.switches
        if view.page_size:
            return view.page_size
        if asked and switches.honour_per_page:
            return min(asked, switches.per_page_limit)
        return CAMPAIGNS_PAGE_SIZE if visit.report == CAMPAIGNS else REPORT_PAGE_SIZE

    def _address(self, visit: Visit) -> str:
        """Return a path as links show it; the campaign list's links are always absolute."""
        style, path = self.switches.links, ROOT + visit.path
        if style == "foreign":
            return f"{self.switches.foreign_host}/{path}"
        if style == "absolute" or visit.report == CAMPAIGNS:
            return f"{self.origin}/{path}"
        return f"/{path}" if style == "rooted" else path

    def _no(self, status: int, headers: dict[str, str] | None = None, message: str | None = None) -> Response:
        response = refusal(status, self.switches.error_shape, message)
        response.headers.update(headers or {})
        return response


def _visit(request: Request, query: dict[str, str]) -> Visit | None:
    """Parse the address; None if it is not of the API."""
    path, page = request.path.strip("/"), number(query.get("page"), 1)
    if not path.startswith(ROOT):
        return None
    match path.removeprefix(ROOT).split("/"):
        case ["campaigns"]:
            return Visit(request.method, "", CAMPAIGNS, page)
        case ["reporting", campaign, report] if report in REPORTS:
            return Visit(request.method, campaign, report, page)
    return None


def _record(request: Request, query: dict[str, str], visit: Visit | None, in_flight: int) -> Record:
    is_report = visit is not None and visit.report != CAMPAIGNS
    return Record(
        method=request.method,
        path=request.path,
        query=request.target.partition("?")[2],
        kind="report" if is_report else CAMPAIGNS if visit else "other",
        campaign=visit.campaign if visit and is_report else None,
        report=visit.report if visit and is_report else None,
        page=query.get("page"),
        per_page=query.get("per_page"),
        authorized="authorization" in request.headers,
        at=monotonic(),
        in_flight=in_flight,
        status=0,
    )


class _Meter:
    """Counts requests in the current window, which begins with its first request, as in Laravel. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends = 0.0
        self._used = 0

    def admit(self, switches: Switches) -> tuple[bool, dict[str, str]]:
        """Count a request. Return True if it is allowed, and the headers of its response."""
        if not switches.rate_limit:
            return True, {}
        with self._lock:
            now = monotonic()
            if now >= self._ends:
                self._ends, self._used = now + switches.rate_window, 0
            passes = self._used < switches.rate_limit
            self._used += passes
            left, wait = switches.rate_limit - self._used, self._ends - now
        headers = {} if passes else {"Retry-After": str(ceil(wait))}
        if switches.rate_headers:
            headers |= {"X-RateLimit-Limit": str(switches.rate_limit), "X-RateLimit-Remaining": str(left)}
        return passes, headers
