"""HTTP: GET and POST on the configured origin, with one limit on concurrency, one pace and one retry policy.

    path, page, per_page -> Client.get -> body of a 200
    path -> Client.post -> None, after a 202

Every other answer is an error, classified by how to react: a 401 ends the run, a transient one is retried with growing
pauses, any other fails the report that asked. A POST makes the server send a mail, so it is retried only after a 429,
which says that nothing was done. Codes: the vendor's error pages (401, 403, 404, 409, 422, 423, 5xx); 429 is
undocumented, an earlier version of the API sent it.
"""

import contextlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NoReturn, TypeVar

from requests import RequestException, Response
from requests.exceptions import ProxyError

from passona.config.settings import Settings
from passona.errors import OutcomeUnknown, RequestFailed, TokenRefused
from passona.masking.messages import counted, masked, printable
from passona.reports.decoding import NotJSON, TooDeep, decode
from passona.source.pace import Clock, Pace, ServerClock, http_date
from passona.source.transport import PROXY, Deadline, Transport

log = logging.getLogger("passona")

# 408 timeout, 409 conflict, 423 locked, 425 too early, 429 too many: the same request may succeed later.
TRANSIENT = frozenset({408, 409, 423, 425, 429})
# With the default first pause of 0.5 s: 0.5, 1, 2, 4, 8, 16, 30 s; a server that restarts is back by then.
ATTEMPTS = 8
LONGEST_PAUSE = 30.0
# A server that asks for more than a quarter of an hour is left to the next run.
LONGEST_RETRY_AFTER = 900.0
# A page of 500 rows is about half a megabyte; a body a hundred times as large is no page.
LARGEST_BODY = 64 * 1024 * 1024
_ADVICE = "; check the network and sources.passona.base_url"
T = TypeVar("T")


class _Transient(RequestFailed):
    """This attempt failed, another may not. `retry_after`: seconds that the server asks for. `advice`: what to do."""

    retry_after = 0.0
    advice = ""


class Client:
    """GETs and POSTs of one account, thread-safe.

    `attempts`: how often a request is tried. `headers`: those of the latest answer. `on_retry` is called before each
    retry with a line for people, from any thread.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, attempts: int = ATTEMPTS) -> None:
        self._settings, self._attempts = settings, attempts
        self.account, self.label = settings.account, settings.label
        self.clock = ServerClock(clock or Clock())
        self.pace = Pace(settings.requests_per_minute, clock)
        self._in_flight = threading.BoundedSemaphore(settings.concurrency)
        self._transport = Transport(settings)
        self._lock = threading.Lock()
        self.requests = 0
        self.on_retry: Callable[[str], None] = lambda _line: None
        self.headers: Mapping[str, str] = {}

    def get(self, path: str, page: int, per_page: int | None) -> bytes:
        """Return the body of page `page` of `path` below the base address; `per_page` None asks for no size.

        :raises TokenRefused: 401; no request follows.
        :raises RequestFailed: any other answer but a 200, after the retries it deserves.
        :raises Stopped: the run ended while this waited.
        """
        target = f"{path}?page={page}" + ("" if per_page is None else f"&per_page={per_page}")
        where = self._log_fields(path, page)
        return self._with_retries(lambda attempt: self._get(target, {**where, "attempt": attempt}), where)

    def post(self, path: str) -> None:
        """Request what is made at `path` once: a POST below the base address.

        :raises TokenRefused: 401; no request follows.
        :raises RequestFailed: the request did not reach the server, or the server refused it: nothing is made.
        :raises OutcomeUnknown: it may or may not have been made.
        :raises Stopped: the run ended while this waited.
        """
        self._with_retries(lambda _: self._post(path), self._log_fields(path))

    def _log_fields(self, path: str, page: int | None = None) -> dict[str, object]:
        """Return the log fields of a request for `campaigns` or `reporting/<campaign>/<report>`."""
        *_, campaign, report = (None, *path.split("/"))
        fields: dict[str, object] = {"account": self._settings.label, "campaign": campaign, "report": report}
        return fields if page is None else {**fields, "page": page}

    def stop(self) -> None:
        """Let no further request go, in any thread, and end those under way."""
        self.pace.stop()
        self._transport.cut()

    def close(self) -> None:
        self._transport.close()

    def _with_retries(self, attempt_once: Callable[[int], T], where: Mapping[str, object]) -> T:
        pause = self._settings.retry_pause
        for attempt in range(1, self._attempts + 1):
            try:
                return attempt_once(attempt)
            except _Transient as fault:
                if attempt == self._attempts or fault.retry_after > LONGEST_RETRY_AFTER:
                    raise RequestFailed(
                        f"{fault} (tried {counted(attempt, 'time')}){fault.advice}", fault.status, reached=fault.reached
                    ) from None
                self._wait(fault, attempt, random.uniform(pause / 2, pause), where)  # noqa: S311  # jitter, no secret
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("unreachable")  # the last attempt returns or raises

    def _wait(self, fault: _Transient, attempt: int, pause: float, where: Mapping[str, object]) -> None:
        """Wait for `pause` seconds, or longer if the server asks for it, which then holds for all requests."""
        self.pace.sleep(0)  # an answer that broke off because the run ends is not retried
        seconds = max(pause, fault.retry_after)
        fields = {"event": "request_retried", "attempt": attempt, "status": fault.status, "seconds": round(seconds, 3)}
        log.info(
            "request tried %s: %s; again in %.1f s", counted(attempt, "time"), fault, seconds, extra={**fields, **where}
        )
        self.on_retry(f"{where['report']}: {fault}; attempt {attempt + 1} of {self._attempts} in {seconds:.1f} s")
        self.pace.pause(fault.retry_after)
        self.pace.sleep(pause)

    def _get(self, target: str, where: Mapping[str, object]) -> bytes:
        began = time.monotonic()
        response, body = self._exchange(self._transport, "GET", target)
        if response.status_code != 200:
            self._raise_for_status(response, body)
        if log.isEnabledFor(logging.DEBUG):
            seconds = round(time.monotonic() - began, 3)
            fields = {"event": "request_answered", "status": 200, "seconds": seconds}
            log.debug("%s: %d bytes in %.3f s", target, len(body), seconds, extra={**fields, **where})
        return body

    def _post(self, path: str) -> None:
        # A new connection each time: the server may be closing a kept one, which would leave the outcome unknown.
        with contextlib.closing(Transport(self._settings)) as transport:
            try:
                response, body = self._exchange(transport, "POST", path)
            except RequestFailed as fault:
                if not fault.reached:
                    raise
                raise OutcomeUnknown(str(fault)) from None
        status = response.status_code
        if status == 202:
            return
        if status >= 500 or status < 400:
            raise OutcomeUnknown(f"expected status 202, got {status}{self._server_message(body)}")
        if status in TRANSIENT - {429}:
            raise RequestFailed(f"status {status}{self._server_message(body)}", status)
        self._raise_for_status(response, body)

    def _exchange(self, transport: Transport, method: str, target: str) -> tuple[Response, bytes]:
        headers: Mapping[str, str] | None = None
        with self._in_flight:
            self.pace.enter()
            try:
                with self._lock:
                    self.requests += 1
                with transport.deadline() as deadline:
                    response = self._send(transport, method, target, deadline)
                    headers = self.headers = response.headers
                    self.clock.learn(headers)
                    return response, self._body(response, deadline)
            finally:
                self.pace.leave(headers)

    def _send(self, transport: Transport, method: str, target: str, deadline: Deadline) -> Response:
        try:
            return transport.ask(method, target)
        except RequestException as error:
            why = f"within {self._settings.request_timeout:g} s" if deadline.ended else f"({_cause(error)})"
            if method == "POST" and not deadline.connected:
                raise RequestFailed(f"not sent {why}{_ADVICE}", reached=False) from None
            fault = _Transient(f"no answer {why}", reached=deadline.connected)
            fault.advice = _ADVICE
            raise fault from None

    def _body(self, response: Response, deadline: Deadline) -> bytes:
        """Return the whole body; nothing if the status alone says enough and the body breaks off."""
        if response.status_code >= 200 and response.status_code != 202:
            try:
                return self._read(response, deadline)
            except RequestFailed:
                if response.status_code == 200:
                    raise
        response.close()  # the rest must not become the answer to another request
        return b""

    def _read(self, response: Response, deadline: Deadline) -> bytes:
        pieces, size = [], 0
        try:
            for piece in response.iter_content(1 << 20):
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST_BODY:
                    raise RequestFailed(f"a body of more than {LARGEST_BODY} bytes")
        except RequestException as error:
            if not deadline.ended:
                raise _Transient(f"an answer that broke off ({_cause(error)})") from None
        if deadline.ended:  # a stream that was shut down may look like one that ended
            raise _Transient(f"an answer that did not end within {self._settings.request_timeout:g} s")
        return b"".join(pieces)

    def _raise_for_status(self, response: Response, body: bytes) -> NoReturn:
        """Raise the error of an answer that is not the expected one. http.client skips 100, but no other 1xx."""
        status, message = response.status_code, self._server_message(body)
        if status == 401:
            self.pace.stop()
            raise TokenRefused(f"the server refuses the token (401{message}): check {self._settings.token_key}")
        if status in TRANSIENT or status >= 500 or status < 200:
            fault = _Transient(f"status {status}{message}", status)
            fault.retry_after = _retry_after(response.headers.get("Retry-After"), self.clock.utc())
            raise fault
        if 300 <= status < 400:
            raise RequestFailed(
                f"status {status}, a redirect, which is never followed: "
                "set sources.passona.base_url to the API's own address",
                status,
            )
        raise RequestFailed(f"status {status}{message}", status)

    def _server_message(self, body: bytes) -> str:
        """Return the server's own message, masked, from any of its three error formats."""
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


def _cause(error: BaseException) -> str:
    """Return what broke, in a word or two, without the address or anything that was sent."""
    if isinstance(error, ProxyError):
        refusal = re.search(r"Tunnel connection failed: ([0-9]{3})", str(error))
        why = f"refuses it with status {refusal[1]}" if refusal else _cause(error.args[0])
        return f"the proxy of {PROXY}: {why}"
    cause: BaseException | None = error
    names: list[str] = []
    while cause is not None and len(names) < 8:
        names.append(type(cause).__name__)
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, TimeoutError):
            return "timed out"
        reason = getattr(cause, "reason", None)
        inner = next((value for value in (reason, *cause.args) if isinstance(value, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    return names[-1] if names[-1] != "Stopped" else names[0]


def _retry_after(value: str | None, now: datetime) -> float:
    """Return `Retry-After`, seconds or a date, in seconds; 0 if there is none. `now`: by the server's clock."""
    if value and value.strip().isdecimal():
        return float(value)
    date = http_date(value)
    return max(0.0, (date - now).total_seconds()) if date else 0.0
