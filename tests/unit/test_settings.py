"""What one run is told is checked before the first request, with what to set instead."""

from __future__ import annotations

from typing import Any

import pytest

from passona.config.settings import Settings, campaign_uuid
from passona.errors import ConfigurationError, Exit

UUID = "dc8a7564-fb1e-11e9-abb5-0242ac120008"
TOKEN = "B1gooyw1FlLcITdn2nd4vfem4b4YYogJUGjVTnrrSTOt2T5hCFnS2xpANsYd"


def made(**given: Any) -> Settings:
    return Settings(TOKEN, **given)


def test_everything_but_the_token_has_the_contracts_default() -> None:
    plain = made()
    assert plain.base_url == "https://passona.co.uk/api/2.0/"
    assert plain.timezone == "Europe/London"
    assert (plain.team_uuid, plain.requests_per_minute) == (None, None)
    assert (plain.page_size, plain.concurrency) == (500, 8)
    assert (plain.settle_days, plain.clicks_settle_days, plain.privacy) == (3, 30, "clear")


def test_the_token_is_shown_nowhere() -> None:
    assert TOKEN not in repr(Settings(TOKEN))


@pytest.mark.parametrize("token", ["", " ", f" {TOKEN}", f"{TOKEN}\n", "Bearer x", "a\u00a0b", "a\x00b", "t\u00f6ken"])
def test_a_token_that_cannot_be_one_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^sources\.passona\.api_token") as refused:
        Settings(token)
    assert not token.strip() or token.strip() not in str(refused.value)


@pytest.mark.parametrize(
    "token",
    [f'"{TOKEN}"', f"'{TOKEN}'", f'{TOKEN}"', f"`{TOKEN}`", "${TOKEN}", "$TOKEN", "{{TOKEN}}", "%TOKEN%", "<TOKEN>",
     "$(cat/token)", "${{secrets.TOKEN}}"],
)  # fmt: skip
def test_a_quoted_or_unexpanded_token_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^sources\.passona\.api_token: expected the token alone") as refused:
        Settings(token)
    assert refused.value.exit_code == Exit.USAGE
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("token", [TOKEN, "12|abc-DEF_0.9~+/=", "a:b", "sandbox"])
def test_a_token_of_any_usual_kind_is_taken(token: str) -> None:
    assert Settings(token).api_token == token


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://passona.co.uk/api/2.0", "https://passona.co.uk/api/2.0/"),
        ("https://passona.co.uk/api/2.0//", "https://passona.co.uk/api/2.0/"),
        (" https://passona.co.uk:8443/api/2.0/ ", "https://passona.co.uk:8443/api/2.0/"),
        ("https://passona.co.uk", "https://passona.co.uk/"),
        ("HTTPS://passona.co.uk/x", "https://passona.co.uk/x/"),
        ("http://localhost:8000/api/2.0/", "http://localhost:8000/api/2.0/"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
        ("http://[::1]:8000/", "http://[::1]:8000/"),
    ],
)
def test_the_base_address_ends_with_one_slash_and_http_is_for_loopback(given: str, kept: str) -> None:
    assert Settings(TOKEN, base_url=given).base_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "http://passona.co.uk/api/2.0/", "http://localhost.evil.test/", "http://127.0.0.1.evil.test/", "http://10.0.0.1/",
        "http://127.0.0.1@evil.test/", "https://user:word@passona.co.uk/", "https://passona.co.uk/?x=1",
        "https://passona.co.uk/#x", "ftp://passona.co.uk/", "passona.co.uk/api/2.0/", "https://", "", "file:///etc/passwd",
        "https://[half/", "https://passona.co.uk:port/", "https://passona.co.uk:99999/",
    ],
)  # fmt: skip
def test_an_address_that_would_leak_the_token_or_cannot_work_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^sources\.passona\.base_url"):
        Settings(TOKEN, base_url=given)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Dublin", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_any_iana_zone_is_taken(zone: str) -> None:
    assert Settings(TOKEN, timezone=zone).timezone == zone


@pytest.mark.parametrize(
    "zone", ["", "London", "Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "Europe", "+01:00", "a\x00b"]
)
def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^sources\.passona\.timezone"):
        Settings(TOKEN, timezone=zone)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("page_size", 1, 10_000),
        ("concurrency", 1, 64),
        ("requests_per_minute", 1, 100_000),
        ("settle_days", 0, 3650),
        ("clicks_settle_days", 0, 3650),
        ("retry_pause", 0, 60),
        ("request_timeout", 0.1, 3600),
    ],
)
def test_numbers_have_their_ranges(key: str, low: float, high: float) -> None:
    for value in (low, high):
        assert getattr(made(**{key: value}), key) == value
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(ConfigurationError, match=rf"^sources\.passona\.{key}: .* is not between"):
            made(**{key: value})


@pytest.mark.parametrize("mode", ["", "Clear", "secret"])
def test_an_unknown_privacy_mode_is_refused(mode: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^sources\.passona\.privacy"):
        Settings(TOKEN, privacy=mode)


@pytest.mark.parametrize("given", [UUID, UUID.upper(), UUID.replace("-", ""), f" {UUID}\n", f"{{{UUID}}}"])
def test_a_uuid_is_brought_into_its_canonical_form(given: str) -> None:
    assert campaign_uuid(given) == UUID
    assert Settings(TOKEN, team_uuid=given).team_uuid == UUID


@pytest.mark.parametrize("given", ["", "clicks", UUID[:-1], UUID + "0", "x" * 500])
def test_what_is_no_uuid_is_refused_with_where_it_stood(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^due\.txt, line 3: .* is not a uuid") as refused:
        campaign_uuid(given, "due.txt, line 3")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "wrong", [{"api_token": ""}, {"page_size": 0}, {"timezone": "x"}, {"base_url": "x"}, {"team_uuid": "x"}]
)
def test_what_cannot_work_ends_with_the_code_for_usage(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings(**({"api_token": TOKEN} | wrong))
    assert refused.value.exit_code == Exit.USAGE
