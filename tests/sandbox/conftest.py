"""What the sandbox's tests share: a plain HTTP client without opinions, and the schemas of the pages."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from passona_sandbox import Account, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMAS = Path(__file__).parents[2] / "schemas" / "pages"
NOW = 1_790_000_000  # 2026-09-21, so that the campaign that is still sending is always the same


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        content: dict[str, Any] = json.loads(self.body)
        return content


def _ask(box: Sandbox, path: str, method: str = "GET", token: str | None = "sandbox") -> Answer:
    where = urlsplit(box.base_url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=5)
    try:
        connection.request(method, where.path + path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, body)
    finally:
        connection.close()


def _walk(box: Sandbox, uuid: str, report: str, size: int = 500) -> Iterator[dict[str, Any]]:
    page, last = 1, 1
    while page <= last:
        found = _ask(box, f"reporting/{uuid}/{report}?per_page={size}&page={page}").json
        yield from found["data"]
        page, last = page + 1, found["meta"]["last_page"]


@pytest.fixture(scope="session")
def ask() -> Callable[..., Answer]:
    """Send one request: box, path below the base address, method, token."""
    return _ask


@pytest.fixture(scope="session")
def walk() -> Callable[..., Iterator[dict[str, Any]]]:
    """Give all rows of a report, page after page: box, uuid, report, page size."""
    return _walk


@pytest.fixture(scope="session")
def page_schema() -> Callable[[str], Draft202012Validator]:
    """Find the validator of a report's pages."""
    return lambda name: Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")))


@pytest.fixture(scope="session")
def account() -> Account:
    """A made-up account of 10,000 rows, at a fixed time; not to be changed."""
    return Account(seed=1, refused=True, now=NOW)


@pytest.fixture(scope="session")
def box(account: Account) -> Iterator[Sandbox]:
    """That account, served; not to be changed."""
    with Sandbox(account) as running:
        yield running


@pytest.fixture
def small() -> Iterator[Sandbox]:
    """One campaign `one` with 120 numbered clicks and 3 deliveries, served; for each test a new one."""
    account = Account.empty()
    clicks = [{"Phone_Number": str(number), "Clicked_At": "2024-01-10 10:00:00"} for number in range(120)]
    delivery = [{"SMS_ID": str(number), "Status": "Success"} for number in range(3)]
    account.put({"uuid": "one"}, {"clicks": clicks, "delivery": delivery})
    with Sandbox(account) as running:
        yield running
