"""Judges of the connection: address, token, team, errors, limits. Pure."""

from __future__ import annotations

from collections import Counter

from passona.config.settings import Settings
from passona.monitoring.doctor._findings import Finding, broken, holds, unclear
from passona.monitoring.doctor._sightings import Sightings
from passona.reports.definitions import REPORTS

VENDORS = Settings.base_url
# What the pace obeys (`pace`); other spellings mean the same and are not heard.
OBEYED = "x-ratelimit-limit"


def address(seen: Sightings) -> Finding:
    base, first = seen.settings.base_url, seen.first
    if first is None:
        return holds(f"{base} answers, with 401")
    if first.is_page:
        return holds(f"{base} answers")
    if first.status == 403:
        return holds(f"{base} answers, with 403")
    if first.status is not None and (first.status >= 500 or first.status == 429):
        return unclear(first.trouble, "ask again later")
    advice = f"set base_url; the vendor's is {VENDORS}"
    if first.status is None:
        return broken(f"{base}: {first.trouble.partition('; ')[0]}", f"check the network, or {advice}")
    return broken(f"{base}campaigns: {first.trouble}", advice, status=first.status)


def token(seen: Sightings) -> Finding:
    if seen.token_refused:
        return broken(seen.token_refused.partition(":")[0], "set api_token to the one that Passona shows for your user")
    if seen.reached:
        return holds("200")
    if seen.first and seen.first.status == 403:
        return broken(seen.first.trouble, "let the token's user see campaigns and reports", status=403)
    return unclear("there was no answer that tells")


def team(seen: Sightings) -> Finding:
    teams = sorted({campaign.team_id or "none" for campaign in seen.campaigns.values()})
    wanted = seen.settings.team_uuid
    if not teams:
        return unclear("no campaigns")
    detail = f"{teams[0]}" if len(teams) == 1 else f"{len(teams)} teams: {', '.join(teams[:3])}"
    if wanted and {name.lower() for name in teams} != {wanted}:
        return broken(detail, f"switch the token's team back to {wanted}, or set team_uuid", teams=teams)
    if len(teams) > 1:
        return broken(detail, "ask the vendor why; set team_uuid, if only one team's may be loaded", teams=teams)
    return holds(detail, "" if wanted else f'team_uuid = "{teams[0]}" would stop a load of another team', teams=teams)


def errors(seen: Sightings) -> Finding:
    """Whether the vendor's reasons can be read from an error."""
    detail = [answer for answer in seen.of(purpose="unknown") if answer.status != 200]
    if not detail or detail[0].status is None:
        return unclear("no error was seen")
    said = detail[0].trouble.partition(f"status {detail[0].status}")[2].partition(" (tried")[0]
    if said.startswith((", '", ', "')):
        return holds(f"{detail[0].status}{said}")
    return broken(
        f"{detail[0].status}{said or ', no message that can be read'}", "nothing to set: errors will say no reason"
    )


def unknown_campaign(seen: Sightings) -> Finding:
    """Whether a campaign that is gone is an error, and not an empty report."""
    detail = seen.of(purpose="unknown")
    if not detail or detail[0].status is None:
        return unclear("no answer")
    status = detail[0].status
    if status in (403, 404, 410):
        return holds(f"answered with {status}", status=status)
    if status == 200:
        return broken(
            "answered as one without rows",
            "nothing to set: a campaign that is deleted is held back (exit 5); do not accept that shrinking unseen",
            status=status,
        )
    return broken(f"answered with {status}", "nothing to set: its reports fail, by name", status=status)


def reports(seen: Sightings) -> Finding:
    """Whether the six reports of campaigns that are listed can be had."""
    asked = [answer for answer in seen.of(*REPORTS) if answer.ask.page == 1]
    refused = [answer for answer in asked if not answer.is_page]
    if not asked:
        return unclear("no campaign to ask for")
    if not refused:
        return holds(f"{len(asked)} asked for, all of them came")
    kinds = Counter(str(answer.status or "no answer") for answer in refused)
    detail = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    first = refused[0]
    return broken(
        f"{len(refused)} of {len(asked)} did not come ({detail}); {first.place}: {first.trouble}",
        "let the token's user see them, or leave them out (--report)",
        statuses=dict(kinds),
    )


def rate_limit(seen: Sightings) -> Finding:
    """Whether the limit that is announced is one that loads obey."""
    limits = {name: value for name, value in seen.headers.items() if "ratelimit" in name.replace("-", "")}
    if seen.headers.get(OBEYED, "").isdecimal():
        return holds(f"{seen.headers[OBEYED]} requests a minute announced, and obeyed", limit=int(seen.headers[OBEYED]))
    if limits:
        name = min(limits)
        return broken(
            f"announced as {name}: {limits[name][:40]}, which loads do not obey",
            "set requests_per_minute to it",
            headers=sorted(limits),
        )
    return unclear(f"none announced in {seen.requests} requests; a 429 is obeyed in any case")
