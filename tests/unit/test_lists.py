"""Rule 6 of the contract: when names and values are split, and how."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passona.reports.field_lists import FIELDS, field_rows, pairs

free = st.text(max_size=6)
comma_free = free.map(lambda text: text.replace(",", ";"))
# Texts in which commas, quotes and line ends meet often.
tricky = st.text(st.sampled_from('ab,"\n\ré '), max_size=9)


def record(parts: list[str], quoting: int = csv.QUOTE_MINIMAL) -> str:
    """One CSV record as the standard library writes it."""
    line = io.StringIO()
    csv.writer(line, quoting=quoting, lineterminator="\r\n").writerow(parts)  # type: ignore[arg-type]  # a csv.QUOTE_*
    return line.getvalue().removesuffix("\r\n")


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        ("First Name,Last Name", "John,Doe", [("First Name", "John"), ("Last Name", "Doe")]),  # the guide's
        ("Firs Name,Last Name", "John,Doe", [("Firs Name", "John"), ("Last Name", "Doe")]),  # its slip stays
        ("Town", "Paisley", [("Town", "Paisley")]),
        ("A,A", "1,2", [("A", "1"), ("A", "2")]),  # not deduplicated
        (" A , B ", " 1 ,2", [(" A ", " 1 "), (" B ", "2")]),  # not trimmed
        ("A,,C", "1,2,", [("A", "1"), ("", "2"), ("C", "")]),  # empty ones in their places
        (",", ",", [("", ""), ("", "")]),
        ('"A', '1"', [('"A', '1"')]),  # a stray quote is a character
        ('"A,B"', '"1,2"', [('"A', '"1'), ('B"', '2"')]),  # bare commas come first, where they agree
    ],
)
def test_names_and_values_with_as_many_parts_are_split_at_commas(
    names: str, values: str, expected: list[tuple[str, str]]
) -> None:
    assert pairs(names, values) == expected


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        ("A,B", '"1,2",3', [("A", "1,2"), ("B", "3")]),
        ("A", '"1,2"', [("A", "1,2")]),
        ('A,"B,C"', "1,2", [("A", "1"), ("B,C", "2")]),
        ("A,B", '"say ""hi"", you",2', [("A", 'say "hi", you'), ("B", "2")]),
        ("A,B", '"1,\n2",3', [("A", "1,\n2"), ("B", "3")]),  # a quoted part may hold a line end
        ("A,B,C", '"1,2",,3', [("A", "1,2"), ("B", ""), ("C", "3")]),
        ('"A,B"', None, [("A,B", "")]),
    ],
)
def test_lists_are_split_as_csv_if_quoting_makes_the_numbers_agree(
    names: str, values: str | None, expected: list[tuple[str, str]]
) -> None:
    assert pairs(names, values) == expected


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("A,B", "1"),
        ("A", "1,2"),
        ("A,B", "1,2,3"),
        ("A,B", None),
        (None, "1"),
        (None, "1,2"),
        ("A,B,C", '"1,2"'),  # quoting does not make them agree
        ("A", '"1,2'),  # an open quote
        ("A", '"1,2"x'),  # text behind the quote
        ("A", 'x"1,2"'),  # text before the quote
        ("A", '"1,2",'),  # one part more
        ("A", '"1,2"\n'),  # a second line
        ("A", '"1,2"\r\n'),
        ('A\n,"B,C"', "1,2"),  # a line end outside quotes
        ('A\r,"B,C"', "1,2"),
    ],
)
def test_otherwise_they_are_not_split(names: str | None, values: str | None) -> None:
    assert pairs(names, values) is None


def test_nothing_on_both_sides_is_no_field_rows() -> None:
    assert pairs(None, None) == []


def test_nothing_opposite_a_single_name_is_one_empty_value() -> None:
    assert pairs("A", None) == [("A", "")]


@given(st.lists(st.tuples(comma_free, comma_free), min_size=1, max_size=6))
def test_joining_any_names_and_values_without_commas_gives_them_back(fields: list[tuple[str, str]]) -> None:
    names, values = zip(*fields, strict=True)
    assert pairs(",".join(names), ",".join(values)) == fields


@settings(max_examples=200)
@given(
    st.lists(st.tuples(tricky, tricky), min_size=1, max_size=5),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_csv_writes_is_read_as_csv_reads_it_unless_bare_commas_agree(
    fields: list[tuple[str, str]], left: int, right: int
) -> None:
    names, values = (
        record(list(side), how) for side, how in zip(zip(*fields, strict=True), (left, right), strict=True)
    )
    bare = names.count(",") == values.count(",")
    expected = list(zip(names.split(","), values.split(","), strict=True)) if bare else fields
    assert pairs(names, values) == expected


def by_row(table: pa.Table) -> dict[str, list[tuple[str, str]]]:
    """Field rows by row, in the order of their positions, which must be 1, 2, 3, ..."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for field in table.to_pylist():
        found.setdefault(field["row_id"], []).append((field["position"], field["name"], field["value"]))
    for fields in found.values():
        fields.sort()
        assert [position for position, _, _ in fields] == list(range(1, len(fields) + 1))
    return {row_id: [(name, value) for _, name, value in fields] for row_id, fields in found.items()}


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(st.tuples(st.none() | tricky | free, st.none() | tricky | free), max_size=8),
    skipped=st.integers(0, 3),
)
@example(rows=[("A,B", "1,2"), ("A", None), (None, None), ("A", '"1,2"'), (None, "x"), ("A,B", "1,2")], skipped=0)
@example(rows=[], skipped=0)
def test_a_column_is_split_as_its_rows_are_one_by_one(rows: list[tuple[str | None, str | None]], skipped: int) -> None:
    ids = pa.array([f"row {number}" for number in range(len(rows))], pa.string()).slice(skipped)
    names = pa.array([name for name, _ in rows], pa.string()).slice(skipped)
    values = pa.array([value for _, value in rows], pa.string()).slice(skipped)
    table, unaligned = field_rows(ids, names, values)
    each = [pairs(*row) for row in rows[skipped:]]
    assert table.schema == FIELDS
    assert sorted(unaligned) == [place for place, found in enumerate(each) if found is None]
    assert by_row(table) == {f"row {place + skipped}": found for place, found in enumerate(each) if found}
