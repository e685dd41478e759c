"""Rules 4, 7 and 8 of the contract: vendor rows become typed tables, and nothing of them is lost.

Rows go the way they go in a load: as bytes of a page, through `read_page`, `vendor_texts`, ordinals
and `type_rows`.
"""

from __future__ import annotations

import csv
import json
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from passona.reports.definitions import (
    ALT_DELIVERY,
    CLICKS,
    DELIVERY,
    RECIPIENT,
    REPORTS,
    SENT,
    UNSENT,
    Report,
    column_names,
)
from passona.reports.field_lists import pairs
from passona.reports.row_ids import Fingerprint, Ordinals, listed
from passona.reports.tables import TABLES
from passona.reports.times import instant
from passona.source.campaigns import campaign_list
from passona.source.pages import Row, read_page
from passona.source.rows import ROW_ID, TypedRows, VendorTexts, text_of, type_rows, vendor_texts

CAMPAIGN = "dc8a7564-fb1e-11e9-abb5-0242ac120008"
LONDON = "Europe/London"
# Whole rows take long to make up on a busy machine; that says nothing about the code.
SLOW = [HealthCheck.too_slow]


def page_rows(rows: list[dict[str, Any]] | str) -> list[Row]:
    """Rows as a page brings them; given as JSON text (of one row) where it matters how a number is written."""
    data = rows if isinstance(rows, str) else json.dumps(rows)
    count = 1 if isinstance(rows, str) else len(rows)
    meta = {"current_page": 1, "last_page": 1, "per_page": max(1, count), "total": count}
    body = f'{{"data": {data}, "links": {{"next": null}}, "meta": {json.dumps(meta)}}}'
    return read_page(body.encode(), "any", 1).rows


def texts_of(report: Report, rows: list[dict[str, Any]] | str, campaign: str = CAMPAIGN) -> VendorTexts:
    return vendor_texts(report, campaign, page_rows(rows))


def typed(report: Report, rows: list[dict[str, Any]] | str) -> TypedRows:
    """All tables of a report of one page."""
    texts = texts_of(report, rows)
    ids = texts.batch.column(ROW_ID)
    fingerprint = Fingerprint()
    fingerprint.add(listed(ids))
    numbered = Ordinals(fingerprint.repeated()).number(ids)
    batch = texts.batch.set_column(texts.batch.schema.get_field_index(ROW_ID), ROW_ID, numbered)
    return type_rows(report, CAMPAIGN, [batch], LONDON, column_names(report, texts.new_keys))


def ids_of(report: Report, rows: list[dict[str, Any]] | str, campaign: str = CAMPAIGN) -> list[str]:
    return listed(texts_of(report, rows, campaign).batch.column(ROW_ID))


def row_of(report: Report, **values: Any) -> dict[str, Any]:
    """A row of the guide's keys, each with its own name as its value but for those given."""
    return dict.fromkeys(report.sorted_keys) | values


def issues_of(found: TypedRows) -> list[tuple[Any, ...]]:
    return [(issue["column_name"], issue["raw_value"], issue["issue"]) for issue in found.issues.to_pylist()]


texts = st.none() | st.just("") | st.text(max_size=8)
times = st.sampled_from(
    ["2020-06-08 13:50:06", "2020-10-25 01:30:00", "2020-03-29 01:30:00", "2020-06-27T20:26:30+0100", "15:25:0"]
)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
odd = st.recursive(
    numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
lists = st.lists(st.text(st.sampled_from('ab",\n '), max_size=4), max_size=4).map(",".join)
# Keys that the guide does not know, some of which would take a column's name.
new_keys = st.sampled_from(
    ["Campaign_Id", "row_id", "ROW_ID", "status", "STATUS", "Message", "message", "Mes sage", "_dlt_id", "_rest", "é",
     "É", "", "9", "Delivered_At", "deliveredAt", "a__b", "listed", "position", "x" * 70, "SELECT"]
) | st.text(max_size=5)  # fmt: skip


@st.composite
def vendor_rows(draw: st.DrawFn) -> tuple[Report, list[dict[str, Any]]]:
    """Rows of any report as a bad day may bring them: odd types, keys that are new and keys that are missing."""
    report = draw(st.sampled_from(list(REPORTS.values())))
    values = {column.key: texts for column in report.all_columns}
    values |= {column.key: times | texts for column in report.columns if column.kind == "time"}
    values |= {column.key: lists | texts for column in report.lists or ()}
    bad = draw(st.booleans())
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = {key: draw(kind if not bad or draw(st.integers(0, 5)) else odd) for key, kind in values.items()}
        if bad:
            row = {key: value for key, value in row.items() if draw(st.integers(0, 9))}
            row |= draw(st.dictionaries(new_keys.filter(lambda key: key not in values), odd, max_size=3))
        rows += [row] * draw(st.sampled_from([1, 1, 1, 2]))
    return report, rows


def same(text: str | None, value: Any) -> bool:
    """Whether a text out of the tables gives a value of the API again; "" and null are one."""
    if value is None or value == "":
        return text is None
    if isinstance(value, str):
        return text == value
    return text is not None and json.loads(text) == value and type(json.loads(text)) is type(value)


class Readback:
    """The tables of a report, asked row by row for what the API gave."""

    def __init__(self, report: Report, found: TypedRows, keys: frozenset[str]) -> None:
        self.report = report
        self.rows = found.parent.to_pylist()
        self.fields = [] if found.fields is None else found.fields.to_pylist()
        self.issues = found.issues.to_pylist()
        self.new_names = column_names(report, keys)

    def raw(self, place: int, column_name: str) -> list[str | None]:
        row_id = self.rows[place]["row_id"]
        return [i["raw_value"] for i in self.issues if (i["row_id"], i["column_name"]) == (row_id, column_name)]

    def column_holds(self, place: int, name: str, kind: str, value: Any) -> bool:
        stored, raw = self.rows[place][name], self.raw(place, name)
        if stored is None or raw:
            return same(raw[0] if raw else None, value)
        if kind == "time":
            return bool(stored == instant(value, LONDON)[0])
        return stored == int(value) if kind == "integer" else bool(stored == value)

    def lists_hold(self, place: int, names: Any, values: Any) -> bool:
        assert self.report.lists is not None
        own = sorted((f for f in self.fields if f["row_id"] == self.rows[place]["row_id"]), key=lambda f: f["position"])
        found = [(field["name"], field["value"]) for field in own]
        raw = [self.raw(place, column.name) for column in self.report.lists]
        if any(raw):
            return not found and same(raw[0][0], names) and same(raw[1][0], values)
        return (
            found == [] if not names and not values else (_parts(names), _parts(values)) == _split(found, names, values)
        )


def _parts(text: str | None) -> str:
    return text or ""


def _split(found: list[tuple[str, str]], names: str, values: str) -> tuple[str, str]:
    """The two texts, joined again from field rows: bare, or as CSV where that is how they were read."""
    bare = ",".join(name for name, _ in found), ",".join(value for _, value in found)
    if bare == (_parts(names), _parts(values)):
        return bare
    # The csv module takes an empty line for a record without fields; here it is one empty field.
    (left,), (right,) = (list(csv.reader([_parts(text)], strict=True)) for text in (names, values))
    return (names, _parts(values)) if list(zip(left or [""], right or [""], strict=True)) == found else bare


@settings(deadline=None, max_examples=250, suppress_health_check=SLOW)
@given(vendor_rows())
@example((SENT, [{"RecipientCount": "--1"}]))  # was a ValueError that ended the run
@example((DELIVERY, [{"9": "x", "Sender": None}]))
@example((RECIPIENT, [{"Field_Names": '"A,B"', "Field_Values": None}]))
def test_every_value_that_the_api_gave_can_be_had_again(given_rows: tuple[Report, list[dict[str, Any]]]) -> None:
    report, rows = given_rows
    found = typed(report, rows)
    back = Readback(report, found, texts_of(report, rows).new_keys)
    assert len(back.rows) == len(rows)
    for place, row in enumerate(rows):
        for column in report.columns:
            assert back.column_holds(place, column.name, column.kind, row.get(column.key)), column.key
        for key, name in back.new_names.items():
            assert same(back.rows[place][name], row.get(key)), key
        if report.lists:
            assert back.lists_hold(place, *(row.get(column.key) for column in report.lists))


@settings(deadline=None, max_examples=120, suppress_health_check=SLOW)
@given(vendor_rows())
def test_types_hold_and_names_are_free_whatever_comes(given_rows: tuple[Report, list[dict[str, Any]]]) -> None:
    report, rows = given_rows
    found = typed(report, rows)
    known = TABLES[report.name].schema
    assert found.parent.schema.names[: len(known)] == known.names
    assert found.parent.schema.types[: len(known)] == known.types
    assert set(found.parent.schema.types[len(known) :]) <= {pa.string()}
    # DuckDB takes names that differ in case alone for one; a _ in front belongs to dlt.
    assert len({name.lower() for name in found.parent.schema.names}) == len(found.parent.schema.names)
    assert not any(name.startswith("_") for name in found.parent.schema.names)
    assert found.issues.schema == TABLES["row_issues"].schema
    assert found.fields is None or found.fields.schema == TABLES[report.fields_table].schema
    ids = found.parent.column("row_id").to_pylist()
    assert len(set(ids)) == len(ids)


def test_the_guides_rows_are_their_tables() -> None:
    found = typed(
        ALT_DELIVERY,
        [
            {
                "MessageId": "49deafce-fbbd-11e9-93b1-0242ac120009",
                "Mobile": "447123456789",
                "FieldNames": "Firs Name,Last Name",
                "FieldValues": "John,Doe",
                "MessageSent": "2020-06-25 20:26:04",
                "MessageUpdate": "2020-06-25 20:26:06",
                "Status": "Success",
            }
        ],
    )
    (parent,) = found.parent.to_pylist()
    assert found.fields is not None
    fields = found.fields.to_pylist()
    assert {field.pop("row_id") for field in fields} == {parent.pop("row_id")}
    assert parent == {
        "campaign_id": CAMPAIGN,
        "message_id": "49deafce-fbbd-11e9-93b1-0242ac120009",
        "mobile": "447123456789",
        "message_sent": instant("2020-06-25 19:26:04", "UTC")[0],
        "message_update": instant("2020-06-25 19:26:06", "UTC")[0],
        "status": "Success",
    }
    assert fields == [
        {"campaign_id": CAMPAIGN, "position": 1, "name": "Firs Name", "value": "John"},
        {"campaign_id": CAMPAIGN, "position": 2, "name": "Last Name", "value": "Doe"},
    ]
    assert issues_of(found) == []


# The digests are part of the contract: users keep them as keys. They change in no release.
@pytest.mark.parametrize(
    ("report", "row", "expected"),
    [
        (
            CLICKS,
            {"Phone_Number": "447123456789", "Clicked_At": "2020-06-08 13:50:06"},
            "c5fa862bbe453b2babc4eaa0689c1e8f",
        ),
        (SENT, {"Brand": "Digitonic", "RecipientCount": 1}, "cdcc621cf3dd42e2ca90bbc76d80bf14"),
        (UNSENT, {"Mobile": "447123456789", "Ärger": "ü"}, "111ee613738e0a04ea0e284108e7ad6d"),
    ],
)
def test_the_row_id_of_a_row_is_the_same_for_ever(report: Report, row: dict[str, Any], expected: str) -> None:
    assert ids_of(report, [row]) == [expected]


@settings(deadline=None, max_examples=80, suppress_health_check=SLOW)
@given(vendor_rows(), st.randoms(use_true_random=False), st.data())
def test_row_ids_do_not_depend_on_the_order_of_keys_nor_on_where_a_page_ends(
    given_rows: tuple[Report, list[dict[str, Any]]], chance: random.Random, data: st.DataObject
) -> None:
    report, rows = given_rows
    shuffled = []
    for row in rows:
        items = list(row.items())
        chance.shuffle(items)
        shuffled.append(dict(items))
    cut = data.draw(st.integers(0, len(rows)))
    ids = ids_of(report, rows)
    assert ids_of(report, shuffled) == ids
    assert ids_of(report, rows[:cut]) + ids_of(report, rows[cut:]) == ids


@pytest.mark.parametrize("report", REPORTS.values(), ids=str)
def test_null_empty_text_and_a_missing_key_are_one_and_the_same_row(report: Report) -> None:
    key = report.sorted_keys[0]
    full = row_of(report)
    short = {name: value for name, value in full.items() if name != key}
    ids = ids_of(report, [full, full | {key: ""}, short, full | {"New": None}, full | {"New": ""}])
    assert len(set(ids)) == 1
    assert ids_of(report, [full | {key: " "}]) != ids[:1]


@pytest.mark.parametrize("written", ["1", "0", "-7", "12.50", "1e5", "true", "123456789012345678901234567890"])
def test_a_number_and_its_text_give_the_same_row(written: str) -> None:
    as_number = f'[{{"Brand": "B", "RecipientCount": {written}}}]'
    as_text = f'[{{"Brand": "B", "RecipientCount": "{written}"}}]'
    assert ids_of(SENT, as_number) == ids_of(SENT, as_text)
    left, right = typed(SENT, as_number), typed(SENT, as_text)
    assert left.parent.equals(right.parent)
    assert issues_of(left) == issues_of(right)


@settings(deadline=None)
@given(st.lists(texts, min_size=6, max_size=6), st.lists(texts, min_size=6, max_size=6))
def test_rows_that_differ_have_different_ids(left: list[str | None], right: list[str | None]) -> None:
    rows = [dict(zip(DELIVERY.sorted_keys, cells, strict=True)) for cells in (left, right)]
    equal = [cell or None for cell in left] == [cell or None for cell in right]
    assert (len(set(ids_of(DELIVERY, rows))) == 1) is equal


def test_the_same_row_of_another_campaign_or_report_has_another_id() -> None:
    row = [{"MessageId": "m", "Mobile": "447123456789"}]
    assert len({*ids_of(UNSENT, row), *ids_of(ALT_DELIVERY, row), *ids_of(UNSENT, row, "other")}) == 3


@settings(deadline=None)
@given(st.lists(st.sampled_from(["447123456789", "447123456780"]), min_size=1, max_size=6))
def test_equal_rows_are_rows(phones: list[str]) -> None:
    found = typed(CLICKS, [row_of(CLICKS, Phone_Number=phone) for phone in phones])
    assert found.parent.column("phone_number").to_pylist() == phones
    assert len(set(found.parent.column("row_id").to_pylist())) == len(phones)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("1", 1), ('"1"', 1), ("0", 0), ("-3", -3), ("9223372036854775807", 2**63 - 1), ("null", None), ('""', None)],
)
def test_recipient_count_is_a_whole_number_written_as_such_or_as_text(written: str, expected: int | None) -> None:
    found = typed(SENT, f'[{{"RecipientCount": {written}}}]')
    assert found.parent.column("recipient_count").to_pylist() == [expected]
    assert issues_of(found) == []


@pytest.mark.parametrize(
    ("written", "raw"),
    [
        ("1.0", "1.0"), ("1.50", "1.50"), ("1e3", "1e3"), ("true", "true"), ("[1]", "[1]"), ('{"n": 1}', '{"n":1}'),
        ('"007"', "007"), ('"1.0"', "1.0"), ('" 1"', " 1"), ('"+1"', "+1"), ('"--1"', "--1"), ('"-"', "-"),
        ('"-0"', "-0"), ('"1_000"', "1_000"), ('"many"', "many"), ('"\u0661"', "\u0661"), ('"\u00b2"', "\u00b2"),
        ("9223372036854775808", "9223372036854775808"), ('"9223372036854775808"', "9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"), ("1" * 300, "1" * 300),
    ],
)  # fmt: skip
def test_a_recipient_count_that_is_no_whole_number_is_null_and_noted(written: str, raw: str) -> None:
    found = typed(SENT, f'[{{"RecipientCount": {written}}}]')
    assert found.parent.column("recipient_count").to_pylist() == [None]
    assert issues_of(found) == [("recipient_count", raw, "unexpected_type")]


@pytest.mark.parametrize(
    ("written", "raw"),
    [("1", "1"), ("1.10", "1.10"), ("false", "false"), ('["é", null]', '["é",null]'), ('{"é": 1.0}', '{"é":1.0}')],
)
def test_a_value_of_another_type_is_null_with_its_text_in_the_issues(written: str, raw: str) -> None:
    found = typed(DELIVERY, f'[{{"Status": {written}, "Sender": "S", "Expiry_Date": {written}}}]')
    (row,) = found.parent.to_pylist()
    assert (row["status"], row["expiry_date"], row["sender"]) == (None, None, "S")
    assert sorted(issues_of(found)) == [
        ("expiry_date", raw, "unexpected_type"),
        ("status", raw, "unexpected_type"),
    ]


def test_times_that_are_changed_are_noted_with_their_text() -> None:
    found = typed(CLICKS, [row_of(CLICKS), row_of(CLICKS, Clicked_At="2020-10-25 01:30:00")])
    assert found.issues.to_pylist() == [
        {
            "campaign_id": CAMPAIGN,
            "report": "clicks",
            "row_id": found.parent.column("row_id")[1].as_py(),
            "column_name": "clicked_at",
            "raw_value": "2020-10-25 01:30:00",
            "issue": "ambiguous_time",
        }
    ]


def test_lists_that_do_not_agree_leave_no_field_rows_and_both_their_texts() -> None:
    found = typed(RECIPIENT, [row_of(RECIPIENT, Field_Names="A,B", Field_Values="1")])
    assert found.fields is not None
    assert len(found.fields) == 0
    assert issues_of(found) == [("field_names", "A,B", "unaligned_fields"), ("field_values", "1", "unaligned_fields")]


def test_a_list_that_is_no_text_is_not_split_and_keeps_both_texts() -> None:
    found = typed(
        UNSENT, [row_of(UNSENT, FieldNames="A", FieldValues=["1"]), row_of(UNSENT, FieldNames="A,B", FieldValues="1,2")]
    )
    assert found.fields is not None
    assert found.fields.column("name").to_pylist() == ["A", "B"]
    assert set(issues_of(found)) == {
        ("field_names", "A", "unaligned_fields"),
        ("field_values", '["1"]', "unaligned_fields"),
        ("field_values", '["1"]', "unexpected_type"),
    }


def test_a_new_key_is_a_new_column_of_text_and_is_reported() -> None:
    rows = [row_of(CLICKS, Country="GB"), row_of(CLICKS), row_of(CLICKS, Country=7)]
    assert texts_of(CLICKS, rows).new_keys == {"Country"}
    assert typed(CLICKS, rows).parent.column("country").to_pylist() == ["GB", None, "7"]


def test_a_missing_key_is_null_and_is_reported() -> None:
    rows = [row_of(CLICKS, OS_Version="10"), {"Phone_Number": "447123456789"}]
    expected = frozenset(CLICKS.sorted_keys) - {"Phone_Number"}
    assert texts_of(CLICKS, rows).missing_keys == expected
    assert typed(CLICKS, rows).parent.column("os_version").to_pylist() == ["10", None]


def test_every_piece_of_a_report_has_the_columns_of_all_its_new_keys() -> None:
    batch = texts_of(CLICKS, [row_of(CLICKS)]).batch
    found = type_rows(CLICKS, CAMPAIGN, [batch, batch], LONDON, {"Country": "country"})
    assert found.parent.column("country").to_pylist() == [None, None]


def test_rows_in_several_batches_are_typed_like_rows_in_one() -> None:
    rows = [row_of(UNSENT, FieldNames="A,B", FieldValues=value, X=value) for value in ("1,2", "1", '"1",2', None)]
    whole = texts_of(UNSENT, rows)
    parts = [texts_of(UNSENT, rows[:1]).batch, texts_of(UNSENT, rows[1:]).batch]
    one = type_rows(UNSENT, CAMPAIGN, [whole.batch], LONDON, column_names(UNSENT, whole.new_keys))
    two = type_rows(UNSENT, CAMPAIGN, parts, LONDON, column_names(UNSENT, whole.new_keys))
    assert (two.parent.to_pylist(), two.issues.to_pylist()) == (one.parent.to_pylist(), one.issues.to_pylist())
    assert one.fields is not None
    assert two.fields is not None
    assert two.fields.to_pylist() == one.fields.to_pylist()


def test_no_rows_are_tables_without_rows() -> None:
    found = typed(SENT, [])
    assert (len(found.parent), len(found.issues)) == (0, 0)
    assert found.parent.schema == TABLES["sent"].schema


@given(odd)
def test_the_text_of_a_value_is_json_again_unless_it_was_text(value: Any) -> None:
    assert same(text_of(value), value)


def test_a_campaign_may_bring_keys_that_its_table_uses_itself() -> None:
    # A key called "listed" used to end the run: the table had two columns of that name.
    found = campaign_list([{"uuid": "a", "listed": "x", "campaign_id": "y", "row_id": "z"}], LONDON)
    (row,) = found.rows.to_pylist()
    assert (row["campaign_id"], row["listed"]) == ("a", True)
    assert {"x", "y", "z"} <= set(row.values())


def test_lists_are_split_as_their_rule_says_in_every_report_that_has_them() -> None:
    for report in (ALT_DELIVERY, RECIPIENT, UNSENT):
        assert report.lists is not None
        names, values = report.lists
        found = typed(report, [row_of(report, **{names.key: "A,B", values.key: '"1,2",3'})])
        assert found.fields is not None
        fields = list(zip(*(found.fields.column(name).to_pylist() for name in ("name", "value")), strict=True))
        assert fields == pairs("A,B", '"1,2",3') == [("A", "1,2"), ("B", "3")]
