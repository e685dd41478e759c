"""Faults of an answer: its status, headers, bytes, pace or end are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from passona_sandbox.faults import Fault
from passona_sandbox.refusals import http_date, login_page, refusal
from passona_sandbox.switches import ErrorShape
from passona_sandbox.wire import Response


def spoil_response(response: Response, faults: Sequence[Fault], shape: ErrorShape) -> Response:
    """Spoil an answer; `shape`: of errors without a shape of their own."""
    for fault in faults:
        if fault.kind in SPOILERS:
            response = SPOILERS[fault.kind](response, fault, shape)
    return response


def _status(response: Response, fault: Fault, shape: ErrorShape) -> Response:
    options = fault.options
    made = refusal(options["code"], options["shape"] or shape, options["message"])
    made = replace(made, headers=response.headers, pause=response.pause)
    return _headers(made, fault, shape)


def _header(value: str) -> str:
    """Write a header; `date:+2` is two seconds from now, as an HTTP date."""
    return http_date(float(value.removeprefix("date:"))) if value.startswith("date:") else value


def _redirect(response: Response, fault: Fault, _shape: ErrorShape) -> Response:
    headers = {**response.headers, "Location": fault.options["to"]}
    return replace(response, status=fault.options["code"], headers=headers, body=b"")


def _html(response: Response, _fault: Fault, _shape: ErrorShape) -> Response:
    return replace(login_page(), headers=response.headers, pause=response.pause)


def _gzip(response: Response, _fault: Fault, _shape: ErrorShape) -> Response:
    headers = {**response.headers, "Content-Encoding": "gzip"}
    return replace(response, headers=headers, body=b"\x1f\x8b\x08\x00garbage")


def _headers(response: Response, fault: Fault, _shape: ErrorShape) -> Response:
    added = {name: _header(str(value)) for name, value in fault.options["headers"].items()}
    return replace(response, headers={**response.headers, **added})


def _latency(response: Response, fault: Fault, _shape: ErrorShape) -> Response:
    return replace(response, pause=response.pause + fault.options["seconds"])


def _edit(response: Response, fault: Fault, _shape: ErrorShape) -> Response:
    old, new = (str(fault.options[name]).encode("latin-1") for name in ("old", "new"))
    return replace(response, body=response.body.replace(old, new) if old else new + response.body)


SPOILERS: dict[str, Callable[[Response, Fault, ErrorShape], Response]] = {
    "status": _status,
    "redirect": _redirect,
    "html": _html,
    "gzip_garbage": _gzip,
    "headers": _headers,
    "latency": _latency,
    "close": lambda response, *_: replace(response, ending="close"),
    "reset": lambda response, *_: replace(response, ending="reset"),
    "truncate": lambda response, *_: replace(response, ending="truncate"),
    "broken_chunk": lambda response, *_: replace(response, ending="broken_chunk"),
    "drip": lambda response, fault, _: replace(response, ending="drip", drip=fault.options["seconds"]),
    "half_json": lambda response, *_: replace(response, body=response.body[: len(response.body) // 2]),
    "not_object": lambda response, *_: replace(response, body=b'["not","an","object"]'),
    "empty_body": lambda response, *_: replace(response, body=b""),
    "edit": _edit,
}
