"""Some fifty faults between a server and a load, as data.

`test_faults` checks that a load survives or refuses each of them; `benchmarks/faults.py` makes docs/faults.md from
the same list and also applies them to dlt's `rest_api` source.

Each fault has a campaign of its own that has not ended. First its report is loaded without a fault (`ROWS_BEFORE`).
Then the account changes (`ROWS_AFTER`: some rows new, some changed), the fault strikes, and the report is loaded
again. The load must either survive the fault (the new rows, exit 0) or refuse it with a specific error (the old
rows, exit 3 or 4).
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Rule = Mapping[str, Any]

REPORT = "alt_delivery"
# Distinctive, so that a test can search every message for it.
TOKEN = "t0ken-that-nobody-may-see"  # noqa: S105  # the sandbox's own
# Placeholders in rules and switches: the origin of another server, and the campaign.
ELSEWHERE, CAMPAIGN = "{elsewhere}", "{campaign}"
PER_PAGE = 50


def message(n: int, status: str = "Success") -> Row:
    """Make message `n`. Half of them were sent in summer time, so that a time read as UTC is an hour off."""
    day = "2020-06-25" if n % 2 else "2020-12-25"
    clock = f"{9 + n // 60 % 12:02}:{n % 60:02}"
    return {
        "MessageId": f"m{n:06}", "Mobile": f"4471234{n:05}", "FieldNames": "First Name,Last Name",
        "FieldValues": f"John {n},Doe", "MessageSent": f"{day} {clock}:04", "MessageUpdate": f"{day} {clock}:06",
        "Status": status,
    }  # fmt: skip


ROWS_BEFORE = [message(n, "pending" if n % 7 == 0 else "Success") for n in range(300)]
# Twenty more messages, and every pending one was delivered: 320 rows on seven pages, twenty of them on the last.
ROWS_AFTER = [message(n) for n in range(320)]


@dataclass(frozen=True)
class Fault:
    """One fault, and the required outcome.

    `rules`, `switches`: for the sandbox. `refused`: a part of the error; None if the load must survive.
    `page`: the page that the error names. `missed`: rows that the load cannot detect; the next load has them.
    `per_page`: rows to request per page. `seconds`: total timeout of one request.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None
    page: int | None = None
    missed: int = 0
    per_page: int = PER_PAGE
    seconds: float = 20.0
    exit_code: int = 0

    @property
    def uuid(self) -> str:
        """The campaign of this fault alone."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.name))

    def rules_for(self, campaign: str, elsewhere: str) -> list[Rule]:
        """Return the rules, restricted to a campaign, with the other server's origin filled in."""
        texts = (json.dumps(rule | {"campaign": CAMPAIGN}) for rule in self.rules)
        return [json.loads(text.replace(ELSEWHERE, elsewhere).replace(CAMPAIGN, campaign)) for text in texts]

    def switches_for(self, elsewhere: str) -> dict[str, Any]:
        return {key: elsewhere if value == ELSEWHERE else value for key, value in self.switches.items()}


def campaign(uuid: str) -> Row:
    """Make a campaign that has not ended, so that its reports stay open."""
    return {"uuid": uuid, "started_sending_at": "2020-06-25 20:26:02", "expiry_date": "2099-01-01 00:00:00"}


def survived(name: str, *rules: Rule, **rest: Any) -> Fault:
    return Fault(name, rules, **rest)


def refused(name: str, *rules: Rule, error: str, **rest: Any) -> Fault:
    """Make a fault refused with `error`, which names the first rule's page unless `page` differs (None: any page)."""
    options = {"page": rules[0].get("page"), "exit_code": 4} | rest
    return Fault(name, rules, refused=error, **options)


def at(page: int | str, kind: str, **options: Any) -> Rule:
    """Make a rule for one page of the report. Without `times` it applies for ever."""
    return {"kind": kind, "report": REPORT, "page": page, **options}


NEW = message(900_000)
LAST = 10**6

NONE = survived("no fault at all")

WIRE = (
    survived("the connection is closed without an answer, twice", at(2, "close", times=2)),
    survived("the server resets the connection in mid-body, twice", at(3, "reset", times=2)),
    refused("the server resets the connection in mid-body, for ever", at(3, "reset"), error="an answer that broke off"),
    survived("a body shorter than its Content-Length, once", at(2, "truncate", times=1)),
    survived("a chunked body with broken framing, once", at(2, "broken_chunk", times=1)),
    survived("a body that says gzip and is none, once", at(2, "gzip_garbage", times=1)),
    survived("a body that drips for ever, once", at(3, "drip", times=1), seconds=0.4),
    refused("a body that drips for ever, each time", at(3, "drip"), error="did not end within 0.4 s", seconds=0.4),
    survived("an answer that does not come in time, once", at(2, "latency", seconds=3, times=1), seconds=0.4),
)

STATUS = (
    survived("501 once", at(2, "status", code=501, times=1)),
    survived("503 three times, with Retry-After in seconds",
             at(2, "status", code=503, times=3, headers={"Retry-After": "0"})),
    survived("429 with Retry-After as a date", at(2, "status", code=429, times=1, headers={"Retry-After": "date:+1"})),
    refused("429 that says: come back in two hours",
            at(2, "status", code=429, headers={"Retry-After": "7200"}), error="status 429"),
    survived("408, 409, 423 and 425, one after the other",
             *(at(2, "status", code=code, after=n, times=1) for n, code in enumerate((408, 409, 423, 425)))),
    refused("500 for ever", at(3, "status", code=500), error="status 500"),
    refused("401", at(3, "status", code=401), error="the server refuses the token (401", page=None, exit_code=3),
    refused("403", at(3, "status", code=403), error="status 403"),
    refused("404", at(1, "status", code=404), error="status 404"),
    refused("a redirect to another host",
            at(3, "redirect", to=f"{ELSEWHERE}/api/2.0/reporting/{CAMPAIGN}/{REPORT}?page=3"),
            error="status 302, a redirect"),
)  # fmt: skip

BODY = (
    survived("an HTML login page with status 200, once", at(3, "html", times=1)),
    refused("an HTML login page with status 200, for ever", at(3, "html"), error="got an HTML page"),
    survived("half a JSON with status 200, once", at(3, "half_json", times=1)),
    refused("half a JSON with status 200, for ever", at(3, "half_json"), error="bytes that are not whole JSON"),
    refused("an empty body with status 200", at(3, "empty_body"), error="expected JSON, got an empty body"),
    refused("data is null", at(3, "data_null"), error="expected a list under data, got data null"),
    refused("data is missing", at(3, "data_missing"), error="expected a list under data"),
    refused("a number in the place of a row", at(3, "data_item_not_object"), error="expected objects in data"),
    survived("a new key in every row", at("any", "extra_key")),
)

META = (
    refused("meta is missing", at(3, "meta_missing"), error="expected an object under meta"),
    survived("the numbers of meta are texts", at("any", "meta", fields={"per_page": "50", "total": "320"})),
    refused("per_page lies", at(1, "meta", fields={"per_page": 25}), error="expected meta.last_page 13"),
    refused("total grows on page 3", at(3, "meta", fields={"total": 420, "last_page": 9}),
            error="expected meta.total 320 as on page 1, got 420"),
    refused("page 3 says it is page 1", at(3, "meta", fields={"current_page": 1}), error="got meta.current_page 1"),
)  # fmt: skip

LINKS = (
    refused("next is null too early", at(3, "next", to=None),
            error="expected a next link on page 3 of 7, got links.next null"),
    refused("next leads to page 1 (a loop)", at(3, "next", to="first"),
            error="a next link to page 4, got a link to page 1"),
    refused("next leads to its own page (a loop)", at(3, "next", to="same"), error="got a link to page 3"),
    refused("next skips a page", at(3, "next", to="skip"), error="got a link to page 5"),
    refused("next leads to another report", at(3, "next", to="other_report"), error="got a link to another path"),
    refused("next leads past the last page", at(7, "next", to="past_end"), error="no next link on the last page (7)"),
    survived("links name another host", switches={"links": "foreign", "foreign_host": ELSEWHERE}),
    survived("links drop per_page (100 a page are asked for)", per_page=100),
)  # fmt: skip

ROWS = (
    refused("a page twice", at(4, "repeat_page"), error="expected other rows than on page 3, got the same page twice"),
    # A second walk looks the same, so the repeated page could be mistaken for identical rows.
    refused("a page twice, with another between", at(5, "repeat_page", of=3), error="other rows than on page 3"),
    survived("a page twice, in one walk", at(4, "repeat_page", times=1)),
    refused("a row is missing from a page", at(3, "swallow_row", index=5),
            error="expected 50 rows on page 3 of 7, got 49 rows"),
    refused("a row stands on a page twice", at(3, "duplicate_row"),
            error="expected 50 rows on page 3 of 7, got 51 rows"),
)  # fmt: skip

DRIFT = (
    survived("a row arrives in front while pages are read", at(4, "insert", row=NEW, times=1)),
    refused("a row arrives in front in every walk", at(4, "insert", row=NEW), error="expected meta.total", page=None),
    survived("a row leaves in front while pages are read", at(4, "delete", times=1)),
    survived("a row arrives in front and one leaves at the end", at(4, "insert", row=NEW, times=1),
             at(4, "delete", index=320, times=1)),
    # Totals and page numbers agree and no row repeats: offset pagination cannot detect it.
    survived("a row leaves in front and one arrives at the end", at(4, "delete", times=1),
             at(4, "insert", index=LAST, row=NEW, times=1), missed=1),
    survived("the order changes between two pages", at(4, "shuffle", times=1)),
    refused("the order changes in every walk", at(4, "shuffle"), page=None,
            error="expected each row on one page, got rows on two pages"),
)  # fmt: skip

FAULTS = (*WIRE, *STATUS, *BODY, *META, *LINKS, *ROWS, *DRIFT)
