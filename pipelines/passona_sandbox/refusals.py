"""Errors, in each of the three formats that a client may meet."""

from email.utils import formatdate
from http import HTTPStatus
from time import time

from passona_sandbox.pages import render
from passona_sandbox.switches import ErrorShape
from passona_sandbox.wire import HTML, Response

LOGIN_PAGE = (
    '<!DOCTYPE html>\n<html lang="en"><head><title>Login</title></head><body>'
    '<form method="POST" action="/login"><input name="email"><input name="password" type="password">'
    "</form></body></html>\n"
)


_BODILESS = {204, 304}


def refusal(status: int, shape: ErrorShape, message: str | None = None) -> Response:
    """Return the answer of this status; `message`: by default the name of the status."""
    known = HTTPStatus(status) if status in HTTPStatus._value2member_map_ else HTTPStatus.INTERNAL_SERVER_ERROR
    if status in _BODILESS:
        return Response(status)
    text = message or f"{known.phrase}."
    if shape == "html":
        page = f"<html><head><title>{status} {known.phrase}</title></head><body><h1>{text}</h1></body></html>\n"
        return Response(status, page.encode(), HTML)
    if shape == "message":
        return Response(status, render({"message": text}))
    code = "GEN-" + known.phrase.upper().replace(" ", "-")
    return Response(status, render({"error": {"code": code, "http_code": status, "message": text}}))


def login_page() -> Response:
    """Return the 200 of a web server that ignores `Accept`: a login page."""
    return Response(200, LOGIN_PAGE.encode(), HTML)


def http_date(seconds_from_now: float) -> str:
    """Return an HTTP date, rounded up to whole seconds."""
    return formatdate(-(-(time() + seconds_from_now) // 1), usegmt=True)
