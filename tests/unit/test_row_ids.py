"""Ids of rows and digests of reports: unique, stable, free of order, and cheap for big reports."""

from __future__ import annotations

import random
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passona.reports.row_ids import ID_BYTES, Fingerprint, Ordinals, listed, row_ids

# Few different rows, so that equal ones are common.
rows_with_repeats = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.just("x")), max_size=25)


def fingerprint(*pieces: list[str]) -> Fingerprint:
    taken = Fingerprint()
    for piece in pieces:
        taken.add(piece)
    return taken


def numbered(ids: list[str], cut: int = 0) -> list[str]:
    """Ids as they are stored, given to the ordinals in two pieces."""
    ordinals = Ordinals(fingerprint(ids).repeated())
    return [
        row_id for piece in (ids[:cut], ids[cut:]) for row_id in listed(ordinals.number(pa.array(piece, pa.string())))
    ]


@given(rows_with_repeats)
def test_equal_rows_have_equal_ids_before_their_ordinals_and_others_have_not(
    rows: list[tuple[str | None, ...]],
) -> None:
    ids = row_ids("clicks", "campaign", rows)
    assert dict(zip(ids, rows, strict=True)).keys() == set(ids)
    assert len(set(zip(ids, rows, strict=True))) == len(set(rows)) == len(set(ids))


@given(rows_with_repeats, st.integers(0, 25))
def test_stored_ids_are_unique_and_the_first_of_equal_rows_keeps_its_own(
    rows: list[tuple[str | None, ...]], cut: int
) -> None:
    ids = row_ids("clicks", "campaign", rows)
    stored = numbered(ids, cut)
    assert len(set(stored)) == len(stored)
    firsts = [ids.index(row_id) for row_id in dict.fromkeys(ids)]
    assert [stored[place] for place in firsts] == [ids[place] for place in firsts]
    assert all(len(bytes.fromhex(row_id)) == ID_BYTES for row_id in stored)


@given(rows_with_repeats, st.randoms(use_true_random=False))
def test_the_same_rows_in_another_order_have_the_same_stored_ids(
    rows: list[tuple[str | None, ...]], chance: random.Random
) -> None:
    ids = row_ids("clicks", "campaign", rows)
    moved = ids[:]
    chance.shuffle(moved)
    assert sorted(numbered(moved)) == sorted(numbered(ids))


def test_a_report_without_repeats_keeps_its_ids() -> None:
    ids = row_ids("clicks", "campaign", [("a",), ("b",)])
    assert numbered(ids) == ids


def test_a_third_equal_row_has_an_id_of_its_own_in_whatever_piece_it_comes() -> None:
    ids = row_ids("clicks", "campaign", [("a",)] * 3)
    whole = numbered(ids)
    assert len(set(whole)) == 3
    assert [numbered(ids, cut) for cut in range(4)] == [whole] * 4


@given(rows_with_repeats, st.randoms(use_true_random=False), st.integers(0, 25))
def test_a_digest_does_not_depend_on_order_nor_on_pieces(
    rows: list[tuple[str | None, ...]], chance: random.Random, cut: int
) -> None:
    ids = row_ids("clicks", "campaign", rows)
    moved = ids[:]
    chance.shuffle(moved)
    assert fingerprint(moved[:cut], moved[cut:]).digest() == fingerprint(ids).digest()


@given(rows_with_repeats, rows_with_repeats)
def test_digests_are_equal_where_the_multisets_of_rows_are_and_only_there(
    left: list[tuple[str | None, ...]], right: list[tuple[str | None, ...]]
) -> None:
    digests = [fingerprint(row_ids("clicks", "campaign", rows)).digest() for rows in (left, right)]
    assert (digests[0] == digests[1]) is (Counter(left) == Counter(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [("aab", "abb"), ("ab", "aab"), ("aa", ""), ("aa", "bb"), ("", "a"), ("aabb", "ab"), ("aaaa", "aa")],
)
def test_a_digest_tells_how_often_each_row_occurs(left: str, right: str) -> None:
    first, second = (fingerprint(row_ids("clicks", "campaign", [(cell,) for cell in cells])) for cells in (left, right))
    assert first.digest() != second.digest()


@pytest.mark.parametrize("count", [50, 199_999, 200_000, 450_000])
def test_all_repeats_are_found_in_small_and_in_big_reports(count: int) -> None:
    chance = random.Random(count)
    ids = [chance.randbytes(ID_BYTES).hex() for _ in range(count)]
    twice = [ids[0], ids[count // 2], ids[-1], *chance.sample(ids, 20)]
    all_ids = [*ids, *twice, twice[0]]
    taken = fingerprint(*(all_ids[at : at + 70_000] for at in range(0, len(all_ids), 70_000)))
    ordinals = Ordinals(taken.repeated())
    assert len(taken) == len(all_ids)
    assert {row_id for row_id in ids if ordinals.repeats(row_id)} == set(twice)


def test_ids_that_agree_in_one_half_alone_are_kept_apart() -> None:
    ids = ["00" * 8 + "11" * 8, "00" * 8 + "22" * 8, "11" * 8 + "00" * 8]
    assert numbered(ids) == ids
    assert fingerprint(ids).digest() != fingerprint([ids[0], ids[0], ids[2]]).digest()
