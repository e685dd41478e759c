"""Faults of an answer: its status, headers, bytes, pace or end are wrong.

Each takes the answer, the format of errors and the options of its rule (`faults`), and returns another answer.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from passona_sandbox.refusals import http_date, login_page, refusal
from passona_sandbox.switches import ErrorShape
from passona_sandbox.wire import Ending, Response


def _status(
    response: Response,
    default: ErrorShape,
    *,
    code: int,
    shape: ErrorShape | None = None,
    headers: dict[str, Any] | None = None,
    message: str | None = None,
) -> Response:
    made = replace(refusal(code, shape or default, message), headers=response.headers, pause=response.pause)
    return _headers(made, default, headers=headers or {})


def _headers(response: Response, _: ErrorShape, *, headers: dict[str, Any]) -> Response:
    added = {name: _header(str(value)) for name, value in headers.items()}
    return replace(response, headers={**response.headers, **added})


def _header(value: str) -> str:
    """Write a header; `date:+2` is two seconds from now, as an HTTP date."""
    return http_date(float(value.removeprefix("date:"))) if value.startswith("date:") else value


def _redirect(response: Response, _: ErrorShape, *, to: str, code: int = 302) -> Response:
    return replace(response, status=code, headers={**response.headers, "Location": to}, body=b"")


def _html(response: Response, _: ErrorShape) -> Response:
    return replace(login_page(), headers=response.headers, pause=response.pause)


def _gzip(response: Response, _: ErrorShape) -> Response:
    headers = {**response.headers, "Content-Encoding": "gzip"}
    return replace(response, headers=headers, body=b"\x1f\x8b\x08\x00garbage")


def _latency(response: Response, _: ErrorShape, *, seconds: float = 1.0) -> Response:
    return replace(response, pause=response.pause + seconds)


def _drip(response: Response, _: ErrorShape, *, seconds: float = 0.1) -> Response:
    return replace(response, ending="drip", drip=seconds)


def _edit(response: Response, _: ErrorShape, *, old: str = "", new: str) -> Response:
    before, after = old.encode("latin-1"), new.encode("latin-1")
    return replace(response, body=response.body.replace(before, after) if before else after + response.body)


def _ends(ending: Ending) -> Callable[[Response, ErrorShape], Response]:
    return lambda response, _: replace(response, ending=ending)


ANSWERS: dict[str, Callable[..., Response]] = {
    "status": _status,
    "redirect": _redirect,
    "html": _html,
    "gzip_garbage": _gzip,
    "headers": _headers,
    "latency": _latency,
    "close": _ends("close"),
    "reset": _ends("reset"),
    "truncate": _ends("truncate"),
    "broken_chunk": _ends("broken_chunk"),
    "drip": _drip,
    "half_json": lambda response, _: replace(response, body=response.body[: len(response.body) // 2]),
    "not_object": lambda response, _: replace(response, body=b'["not","an","object"]'),
    "empty_body": lambda response, _: replace(response, body=b""),
    "edit": _edit,
}
