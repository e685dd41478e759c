"""docs/errors.md: every error that the code can say, and no other."""

from __future__ import annotations

from error_docs import MEANINGS, PAGE, page
from passona.errors import Exit


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "make docs writes it anew"


def test_every_exit_code_but_success_has_lines() -> None:
    sections = {int(part.split(":", 1)[0]): part for part in page().split("\n## ")[1:]}
    assert sections.keys() == MEANINGS.keys() == {int(code) for code in Exit if code} | {130, 143}
    assert all("\n- `" in part for part in sections.values())
