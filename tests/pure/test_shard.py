"""Each campaign is in one shard, and all shards share one budget of requests."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passona.errors import ConfigurationError
from passona.settings import Settings
from passona.shard import WHOLE, Shard, shard_of


@given(st.uuids().map(str), st.integers(1, 50))
def test_a_campaign_is_in_exactly_one_part(campaign: str, parts: int) -> None:
    assert [Shard(number, parts).takes(campaign) for number in range(1, parts + 1)].count(True) == 1


def test_without_parts_all_campaigns_are_taken() -> None:
    assert WHOLE.takes("dc8a7564-fb1e-11e9-abb5-0242ac120008")


def test_the_parts_are_the_same_for_ever_and_of_about_one_size() -> None:
    # A campaign that moved to another part between two runs would be loaded by two at once.
    assert Shard(5, 8).takes("dc8a7564-fb1e-11e9-abb5-0242ac120008")
    campaigns = [str(uuid.UUID(int=n)) for n in range(8_000)]
    sizes = [sum(map(Shard(number, 8).takes, campaigns)) for number in range(1, 9)]
    assert 900 < min(sizes) <= max(sizes) < 1_100


def test_the_parts_share_the_requests_of_a_minute() -> None:
    settings = Settings("none", requests_per_minute=60)
    assert Shard(1, 8).share(settings).requests_per_minute == 7
    assert WHOLE.share(settings) == settings
    assert Shard(1, 8).share(Settings("none")) == Settings("none")
    with pytest.raises(ConfigurationError, match=re.escape("requests_per_minute (60) leaves less than one")):
        Shard(1, 61).share(settings)


@pytest.mark.parametrize("text", ["1/1", "3/8", " 8/8 "])
def test_a_shard_is_written_as_a_part_of_parts(text: str) -> None:
    shard = shard_of(text)
    assert f"{shard.number}/{shard.of}" == text.strip()


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/", "/8", "3/8/9", "-1/8", "3/0", "a/b", "²/8", "1/9999999"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a part and the number of parts, such as 3/8"):
        shard_of(text)
