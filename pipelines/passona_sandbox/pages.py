"""Pages as Laravel makes them: rows + what the client asks -> envelope -> JSON as PHP writes it.

Key names and order are the guide's; what happens at the edges (a page past the end, an empty list, a page
number that cannot be read) is Laravel's `LengthAwarePaginator`.
"""

import json
import re
from dataclasses import dataclass

from passona_sandbox.edits import View
from passona_sandbox.reports import Row

_NUMBER = re.compile(r"\s*\+?([1-9][0-9]{0,17})\s*", re.ASCII)
_encode = json.JSONEncoder(separators=(",", ":")).encode


def number(text: str | None, default: int) -> int:
    """Parse a whole number from 1; return the default for anything else."""
    match = _NUMBER.fullmatch(text or "")
    return int(match[1]) if match else default


def render(value: object) -> bytes:
    """Return JSON with escaped slashes and only ASCII, as PHP writes it."""
    return _encode(value).replace("/", "\\/").encode("ascii")


@dataclass(frozen=True)
class Book:
    """All pages of one report at one moment.

    `path` is the address that links and `meta.path` show; `text_size` writes `per_page` as a string,
    as the campaign list does.
    """

    view: View
    path: str
    size: int
    text_size: bool = False

    @property
    def last(self) -> int:
        """The number of the last page; an empty report has one page."""
        return max(1, -(-self.view.count // self.size))

    def link(self, page: int) -> str:
        """Return the address of a page, without any other query parameter."""
        return f"{self.path}?page={page}"

    def data(self, page: int) -> list[Row]:
        return list(self.view.rows((page - 1) * self.size, page * self.size))

    def page(self, page: int) -> Row:
        data = self.data(page)
        first = (page - 1) * self.size + 1
        return {
            "data": data,
            "links": {
                "first": self.link(1),
                "last": self.link(self.last),
                "prev": self.link(page - 1) if page > 1 else None,
                "next": self.link(page + 1) if page < self.last else None,
            },
            "meta": {
                "current_page": page,
                "from": first if data else None,
                "last_page": self.last,
                "path": self.path,
                "per_page": str(self.size) if self.text_size else self.size,
                "to": first + len(data) - 1 if data else None,
                "total": self.view.count,
            },
        }
