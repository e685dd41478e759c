"""HTTP and nothing else: GET and POST on the configured origin, under one bound, one pace and one retry policy.

    path, page, per_page -> Client.get -> body of a 200
    path -> Client.post -> nothing, after a 202

Everything but a 200 is an error sorted by what to do: 401 ends the run, what may pass is tried
again with growing pauses, all else fails the report that asked. A POST is another mail, so it is tried
again only where the server says that it did nothing (429). Codes: the vendor's error pages
(401, 403, 404, 409, 422, 423, 5xx); 429 is undocumented, an earlier version of the API sent it.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NoReturn, TypeVar

from requests import RequestException, Response, Timeout
from requests.exceptions import ProxyError

from passona.config.settings import Settings
from passona.errors import FateUnknown, RequestFailed, TokenRefused
from passona.masking.messages import masked, printable
from passona.reports.decoding import NotJSON, TooDeep, decode
from passona.source.pace import Clock, Pace, ServerClock
from passona.source.transport import PROXY, Limit, Transport

log = logging.getLogger("passona")

# 408 timeout, 409 conflict, 423 locked, 425 too early, 429 too many: the same request may do later.
PASSING = frozenset({408, 409, 423, 425, 429})
# With the default first pause of 0.5 s: 0.5, 1, 2, 4, 8, 16, 30 s; a server that restarts is back by then.
ATTEMPTS = 8
LONGEST_PAUSE = 30.0
# A server that asks for more than a quarter of an hour is better asked by the next run.
LONGEST_RETRY_AFTER = 900.0
# A page of 500 rows is about half a megabyte; a hundred times that is no page.
LARGEST_BODY = 64 * 1024 * 1024
_ADVICE = "; check the network and sources.passona.base_url"
T = TypeVar("T")


class _Passing(Exception):  # noqa: N818  # named for what happened, as in errors
    """This attempt failed in a way that another may not. `reached`: whether there was a connection to the server."""

    def __init__(
        self,
        reason: str,
        retry_after: float | None = None,
        status: int | None = None,
        advice: str = "",
        *,
        reached: bool = True,
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.status = status
        self.advice = advice
        self.reached = reached


class Client:
    """GETs and POSTs of one account. Safe to use from many threads.

    `attempts`: how often a request is tried. `headers`: those of the latest answer. `on_retry` hears of each request
    that is about to be tried again, in a line for people; called from any thread.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._settings, self._attempts = settings, attempts
        self.clock = ServerClock(clock or Clock())
        self.pace = Pace(settings.requests_per_minute, self.clock)
        self._in_flight = threading.BoundedSemaphore(settings.concurrency)
        self._transport = Transport(settings)
        self._lock = threading.Lock()
        self.requests = 0
        self.on_retry: Callable[[str], None] = lambda _line: None
        self.headers: Mapping[str, str] = {}

    def get(self, path: str, page: int, per_page: int | None) -> bytes:
        """The body of page `page` of `path` below the base address, `per_page` asked for if given.

        :raises TokenRefused: 401; no request follows.
        :raises RequestFailed: any other answer that is no 200, after the tries it deserves.
        :raises Stopped: the run ended while this waited.
        """
        target = f"{path}?page={page}" + ("" if per_page is None else f"&per_page={per_page}")
        where = _where(path, page)
        return self._repeated(lambda attempt: self._answered(target, attempt, where), where)

    def post(self, path: str) -> None:
        """Asks for what is made at `path` below the base address, once.

        :raises TokenRefused: 401; no request follows.
        :raises RequestFailed: it did not reach the server, or the server refused it: nothing is made.
        :raises FateUnknown: nobody knows whether it is made.
        :raises Stopped: the run ended while this waited.
        """
        self._repeated(lambda _: self._post(path), _where(path))

    def _repeated(self, attempt_once: Callable[[int], T], where: Mapping[str, object]) -> T:
        """What an attempt gives, after the tries it deserves."""
        pause = self._settings.retry_pause
        for attempt in range(1, self._attempts + 1):
            try:
                return attempt_once(attempt)
            except _Passing as fault:
                if attempt == self._attempts or (fault.retry_after or 0) > LONGEST_RETRY_AFTER:
                    raise RequestFailed(
                        f"{fault} ({_times(attempt)}){fault.advice}", fault.status, reached=fault.reached
                    ) from None
                self._wait(fault, attempt, random.uniform(pause / 2, pause), where)  # noqa: S311  # jitter, no secret
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("unreachable")  # the last attempt returns or raises

    def _answered(self, target: str, attempt: int, where: Mapping[str, object]) -> bytes:
        if not log.isEnabledFor(logging.DEBUG):
            return self._get(target)
        begun = time.monotonic()
        body = self._get(target)
        seconds = round(time.monotonic() - begun, 3)
        fields = {"event": "request_answered", "attempt": attempt, "status": 200, "seconds": seconds}
        log.debug("%s: %d bytes in %.3f s", target, len(body), seconds, extra={**fields, **where})
        return body

    def stop(self) -> None:
        """Lets no further request go, in any thread, and ends those under way."""
        self.pace.stop()
        self._transport.cut()

    def close(self) -> None:
        self._transport.close()

    def _wait(self, fault: _Passing, attempt: int, pause: float, where: Mapping[str, object]) -> None:
        """Waits for `pause`, and what the server asked for (which holds for all requests) if that is longer."""
        self.pace.sleep(0)  # whose answer broke off because the run ends is not tried again
        asked = fault.retry_after or 0.0
        seconds = max(pause, asked)
        log.info(
            "request %s: %s; again in %.1f s", _times(attempt), fault, seconds,
            extra={
                "event": "request_retried", "attempt": attempt, "status": fault.status, "seconds": round(seconds, 3),
                **where,
            },
        )  # fmt: skip
        self.on_retry(f"{where['report']}: {fault}; attempt {attempt + 1} of {self._attempts} in {seconds:.1f} s")
        self.pace.pause(asked)
        self.pace.sleep(pause)

    def _get(self, target: str) -> bytes:
        answer, body = self._exchange(self._transport, "GET", target)
        if answer.status_code != 200:
            self._refuse(answer, body)
        return body

    def _post(self, path: str) -> None:
        # A transport for each: a connection that was kept may be closed by the server just then, and leave the fate
        # of a POST unknown. That it will be the server need not have said.
        with contextlib.closing(Transport(self._settings)) as transport:
            try:
                answer, body = self._exchange(transport, "POST", path)
            except (_Passing, RequestFailed) as fault:  # RequestFailed: not sent, or a 200 that is too large
                if not fault.reached:
                    raise
                raise FateUnknown(str(fault)) from None
        status = answer.status_code
        if status == 202:
            return
        if status >= 500 or status < 400:
            raise FateUnknown(f"expected status 202, got {status}{self._said(body)}")
        if status in PASSING - {429}:
            raise RequestFailed(f"status {status}{self._said(body)}", status)
        self._refuse(answer, body)

    def _exchange(self, transport: Transport, method: str, target: str) -> tuple[Response, bytes]:
        """An answer, and its body as far as it matters."""
        headers: Mapping[str, str] | None = None
        with self._in_flight:
            self.pace.enter()
            try:
                with self._lock:
                    self.requests += 1
                with transport.limited() as limit:
                    answer = self._sent(transport, method, target, limit)
                    headers = self.headers = answer.headers
                    self.clock.learn(headers)
                    return answer, self._read(answer, limit)
            finally:
                self.pace.leave(headers)

    def _sent(self, transport: Transport, method: str, target: str, limit: Limit) -> Response:
        try:
            return transport.ask(method, target)
        except RequestException as error:
            why = f"within {self._settings.request_timeout:g} s" if limit.ended else f"({_cause(error)})"
            if method == "POST" and not limit.connected:
                raise RequestFailed(f"not sent {why}{_ADVICE}", reached=False) from None
            raise _Passing(f"no answer {why}", advice=_ADVICE, reached=limit.connected) from None

    def _read(self, answer: Response, limit: Limit) -> bytes:
        """The whole body; nothing where it breaks off and the status says enough."""
        try:
            if answer.status_code != 202 and answer.status_code >= 200:
                return self._body(answer, limit)
        except (RequestException, RequestFailed) as error:
            if answer.status_code == 200:
                raise self._broken_off(error, limit) from None
        answer.close()  # what may follow is no answer to anything else
        return b""

    def _broken_off(self, error: Exception, limit: Limit) -> Exception:
        if limit.ended:
            return _Passing(f"an answer that did not end within {self._settings.request_timeout:g} s")
        if isinstance(error, RequestFailed):
            return error
        return _Passing(f"an answer that broke off ({_cause(error)})")

    def _body(self, answer: Response, limit: Limit) -> bytes:
        pieces, size = [], 0
        for piece in answer.iter_content(1 << 20):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_BODY:
                raise RequestFailed(f"a body of more than {LARGEST_BODY} bytes")
        if limit.ended:  # what ended it was not its end
            raise Timeout
        return b"".join(pieces)

    def _refuse(self, answer: Response, body: bytes) -> NoReturn:
        """Raise what an answer says that is none of those wished for. Of 1xx, http.client skips 100 alone."""
        status = answer.status_code
        said = self._said(body)
        if status == 401:
            self.pace.stop()
            raise TokenRefused(f"the server refuses the token (401{said}): check sources.passona.api_token")
        if status in PASSING or status >= 500 or status < 200:
            retry_after = _retry_after(answer.headers.get("Retry-After"), self.clock.utc())
            raise _Passing(f"status {status}{said}", retry_after, status)
        if 300 <= status < 400:
            raise RequestFailed(
                f"status {status}, a redirect, which is never followed: "
                "set sources.passona.base_url to the API's own address",
                status,
            )
        raise RequestFailed(f"status {status}{said}", status)

    def _said(self, body: bytes) -> str:
        """The server's own message, from any of its three shapes of error, fit to be shown."""
        try:
            document = decode(body)
        except (NotJSON, TooDeep):
            return ", an HTML page" if body.lstrip()[:1] == b"<" else ""
        if not isinstance(document, dict):
            return ""
        error = document.get("error")
        message = (error if isinstance(error, dict) else document).get("message", error)
        if not isinstance(message, str) or not message.strip():
            return ""
        return f", {masked(printable(message.replace(self._settings.api_token, '***')))[:160]!r}"


def _where(path: str, page: int | None = None) -> dict[str, object]:
    """The fields of the log that say what was asked for: `campaigns`, or `reporting/<campaign>/<report>`."""
    *_, campaign, report = (None, *path.split("/"))
    return {"campaign": campaign, "report": report} | ({} if page is None else {"page": page})


def _cause(error: BaseException) -> str:
    """What broke, in a word or two, without the address or anything that was sent."""
    if isinstance(error, ProxyError):
        refusal = re.search(r"Tunnel connection failed: ([0-9]{3})", str(error))
        why = f"refuses it with status {refusal[1]}" if refusal else _cause(error.args[0])
        return f"the proxy of {PROXY}: {why}"
    seen: BaseException | None = error
    names: list[str] = []
    while seen is not None and len(names) < 8:
        names.append(type(seen).__name__)
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        if isinstance(seen, TimeoutError):
            return "timed out"
        reason = getattr(seen, "reason", None)
        inner = next((a for a in (reason, *seen.args) if isinstance(a, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__
    return names[-1] if names[-1] != "Stopped" else names[0]


def _retry_after(value: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds, from either of its forms: seconds or a date. `now`: by the server's clock."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now.timestamp())
    except (ValueError, TypeError):
        return None


def _times(attempts: int) -> str:
    return "tried once" if attempts == 1 else f"tried {attempts} times"
