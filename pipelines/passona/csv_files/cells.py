"""Restore cells of a .csv that a spreadsheet changed, and count those that it destroyed. Pure.

    447700900123.0, 4.47700900123E+11, ="447700900123"   restored
    4.47701E+11, 08/06/2020 13:50                        lost: `rows` stores NULL and an issue

Runs before a row is hashed, so a file that went through a spreadsheet unharmed equals the report that was mailed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from passona.csv_files.form import AROUND
from passona.masking.phones import is_mangled, read_phone
from passona.reports.definitions import Report
from passona.reports.times import count_unreadable

# Rows below the header of a full sheet, in old and new formats.
_WHOLE_SHEETS = (65_535, 1_048_575)
# Like `phones.PLAIN`, without the look-ahead, which Arrow does not support.
_PLAIN = "^[1-9][0-9]{6,14}$"
# A phone of which a spreadsheet saved only six digits.
_ROUNDED = "^[1-9][0-9]{5}0{5,6}$"
_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_EMPTY = pa.scalar("")
_NUMBER = re.compile(
    r"""=?["'\u2018\u2019\u201c\u201d]?(?:"""
    r"[1-9][0-9]{6,14}"
    r"|[1-9][0-9]{0,2}(?P<three>[.,'\u2019\u00a0\u2009\u202f])[0-9]{3}(?:(?P=three)[0-9]{3})+"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
    r"|[0-9]{1,3}(?:[.,][0-9]+)?[eE]\+?[0-9]+"
    r""")(?:[.,]0+)?["'\u2018\u2019\u201c\u201d]?"""
)
# A long id that a spreadsheet shortened. It is stored as it came.
_LOST_ID = r"^(?:[1-9](?:[.,][0-9]+)?E\+[0-9]{2,3}|#+)$"
# A count as mailed, and as a spreadsheet shows it.
_WHOLE = "0|-?[1-9][0-9]*"
_SHOWN_COUNT = re.compile(
    r"'?(0|[1-9][0-9]*|[1-9][0-9]{0,2}(?P<three>[.,'\u2019\u00a0\u2009\u202f ])[0-9]{3}(?:(?P=three)[0-9]{3})*)"
    r"(?:[.,]0{1,2})?"
)


@dataclass
class Quality:
    """What a spreadsheet did to a file. `rows`, `phones`, `times`, `counts`, `ids`: numbers of non-empty ones.

    `restored`: values that were restored. `blank`: lines without values. `lost_*`: values that cannot be read, and
    ids that are shortened. `rounded`: phones that end like rounded numbers; one or two of them may be real.
    """

    rows: int = 0
    phones: int = 0
    times: int = 0
    restored: int = 0
    blank: int = 0
    lost_phones: int = 0
    lost_times: int = 0
    counts: int = 0
    lost_counts: int = 0
    rounded: int = 0
    ids: int = 0
    lost_ids: int = 0

    def add(self, other: Quality) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def is_mangled(self) -> bool:
        """Return True if most phones, most ids or all times are lost."""
        return (
            2 * (self.lost_phones + self.rounded) > self.phones
            or 2 * self.lost_ids > self.ids
            or 0 < self.times == self.lost_times
        )

    @property
    def fills_a_sheet(self) -> bool:
        """Return True if the rows fill a whole sheet, so that more may have been cut off."""
        return self.rows in _WHOLE_SHEETS

    @property
    def unread(self) -> str:
        """Describe the values that cannot be read; empty if there are none."""
        unread = (
            f"{lost:,} of {whole:,} {noun}"
            for lost, whole, noun in (
                (self.lost_phones, self.phones, "phones"),
                (self.lost_times, self.times, "times"),
                (self.lost_counts, self.counts, "counts"),
            )
            if lost
        )
        text = " and ".join(unread)
        return text and f"{text} cannot be read"

    @property
    def losses(self) -> str:
        """Describe what is lost; empty if nothing is."""
        rounded = f"{self.rounded:,} of {self.phones:,} phones are rounded" if self.rounded and self.is_mangled else ""
        ids = f"{self.lost_ids:,} of {self.ids:,} ids are shortened" if self.lost_ids else ""
        return ", ".join(filter(None, (self.unread, rounded, ids)))


def restore_cells(report: Report, columns: Mapping[str, pa.Array[Any]]) -> tuple[dict[str, pa.Array[Any]], Quality]:
    """Return the columns with restored cells and without blank lines, and what was changed or lost."""
    quality = Quality()
    cells = dict(columns)
    for key, texts in columns.items():
        if pc.any(pc.starts_with(texts, '="')).as_py():
            cells[key] = _mapped(texts, _unwrapped, quality)
    cells = _without_blank_lines(cells, quality)
    if report.phone_key in cells:
        cells[report.phone_key] = _phones(cells[report.phone_key], quality)
    for column in report.columns:
        if column.kind == "time" and column.key in cells:
            quality.times += _count(pc.not_equal(cells[column.key], _EMPTY))
            quality.lost_times += count_unreadable(cells[column.key])
        if column.kind == "integer" and column.key in cells:
            cells[column.key] = _counts(cells[column.key], quality)
        if column.name.endswith("_id") and column.key in cells:
            quality.ids += _count(pc.not_equal(cells[column.key], _EMPTY))
            quality.lost_ids += _count(pc.match_substring_regex(cells[column.key], _LOST_ID))
    return cells, quality


def _without_blank_lines(columns: dict[str, pa.Array[Any]], quality: Quality) -> dict[str, pa.Array[Any]]:
    blank: Any = None
    for cells in columns.values():
        empty = pc.equal(pc.utf8_trim(cells, characters=AROUND), _EMPTY)
        blank = empty if blank is None else pc.and_(blank, empty)
        if not pc.any(blank).as_py():
            quality.rows = len(cells)
            return columns
    quality.blank = _count(blank)
    quality.rows = len(blank) - quality.blank
    return {key: cells.filter(pc.invert(blank)) for key, cells in columns.items()}


def _phones(phones: pa.Array[Any], quality: Quality) -> pa.Array[Any]:
    plain = pc.or_(pc.match_substring_regex(phones, _PLAIN), pc.equal(phones, _EMPTY))
    if not pc.all(plain).as_py():
        phones = _mapped(phones, _phone, quality)
        doubtful: list[Any] = phones.filter(pc.invert(plain)).to_pylist()
        quality.lost_phones = sum(map(is_mangled, doubtful))
    quality.phones = _count(pc.not_equal(phones, _EMPTY))
    quality.rounded = _count(pc.match_substring_regex(phones, _ROUNDED))
    return phones


def _counts(counts: pa.Array[Any], quality: Quality) -> pa.Array[Any]:
    if not pc.all(pc.match_substring_regex(counts, f"^(?:{_WHOLE})?$")).as_py():
        counts = _mapped(counts, _count_of, quality)
    quality.counts += _count(pc.not_equal(counts, _EMPTY))
    quality.lost_counts += _count(pc.invert(pc.match_substring_regex(counts, f"^(?:{_WHOLE})?$")))
    return counts


def _count_of(text: str) -> str:
    """Return the digits of 1,234, 1.234 or 1234.0; no spreadsheet shows three decimals of a whole number."""
    shown = _SHOWN_COUNT.fullmatch(text.strip(AROUND))
    return re.sub("[^0-9]", "", shown[1]) if shown else text


def _mapped(cells: pa.Array[Any], change: Callable[[str], str], quality: Quality) -> pa.Array[Any]:
    before: list[Any] = cells.to_pylist()
    after = [change(text) for text in before]
    quality.restored += sum(old != new for old, new in zip(before, after, strict=True))
    return pa.array(after, pa.string())


def _unwrapped(text: str) -> str:
    formula = _FORMULA.fullmatch(text)
    return formula[1].replace('""', '"') if formula else text


def _phone(text: str) -> str:
    """Return the digits of a phone that a spreadsheet shows as a number; other spellings stay."""
    bare = text.strip(AROUND)
    if bare.startswith("'") and read_phone(bare):
        bare = bare[1:]
    digits = read_phone(bare) if _NUMBER.fullmatch(bare) else None
    return digits if digits and digits[0] != "0" else bare if read_phone(bare) else text


def _count(condition: pa.Array[Any]) -> int:
    return int(pc.sum(condition).as_py() or 0)
