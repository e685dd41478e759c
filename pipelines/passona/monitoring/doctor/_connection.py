"""Judges of the connection: address, token, team, reports, limits. Pure."""

from collections import Counter

from passona.config.settings import Settings
from passona.errors import Exit
from passona.monitoring.doctor._evidence import Evidence, Finding, assumption, broken, holds, unclear
from passona.reports.definitions import REPORTS

# The only header of this kind that loads obey (`pace`).
OBEYED = "x-ratelimit-limit"


@assumption("base_url is the API's", matters=True)
def address(evidence: Evidence) -> Finding:
    base, first = evidence.settings.base_url, evidence.first
    if first is None or first.page or first.status == 403:
        status = ", with 401" if first is None else ", with 403" if first.status == 403 else ""
        return holds(f"{base} answers{status}")
    if first.status is not None and (first.status >= 500 or first.status == 429):
        return unclear(first.problem, "try again later")
    advice = f"set base_url; the vendor's is {Settings.base_url}"
    if first.status is None:
        return broken(f"{base}: {first.problem.partition('; ')[0]}", f"check the network, or {advice}")
    return broken(f"{base}campaigns: {first.problem}", advice)


@assumption("the token is accepted", matters=True, exit_code=Exit.TOKEN)
def token(evidence: Evidence) -> Finding:
    if evidence.token_refused:
        return broken(evidence.token_refused.partition(":")[0], "set api_token to the one that Passona shows your user")
    if evidence.reached:
        return holds("200")
    if evidence.first and evidence.first.status == 403:
        return broken(evidence.first.problem, "allow the token's user to see campaigns and reports")
    return unclear("no response shows it")


@assumption("all campaigns belong to one team, yours", matters=True)
def team(evidence: Evidence) -> Finding:
    teams = sorted({campaign.team_id or "none" for campaign in evidence.campaigns.values()})
    expected = evidence.settings.team_uuid
    if not teams:
        return unclear("no campaigns")
    seen = teams[0] if len(teams) == 1 else f"{len(teams)} teams: {', '.join(teams[:3])}"
    if expected and {name.lower() for name in teams} != {expected}:
        return broken(seen, f"switch the token's team back to {expected}, or set team_uuid")
    if len(teams) > 1:
        return broken(seen, "ask the vendor why; set team_uuid to load one team only")
    return holds(seen, "" if expected else f'set team_uuid = "{teams[0]}" to refuse any other team')


@assumption("the reports of listed campaigns are available", matters=True)
def reports(evidence: Evidence) -> Finding:
    responses = [response for response in evidence.of(*REPORTS) if response.request.page == 1]
    refused = [response for response in responses if response.status != 200]
    if not responses:
        return unclear("no campaign to ask for")
    if not refused:
        return holds(f"all {len(responses)} requested came")
    kinds = Counter(str(response.status or "no answer") for response in refused)
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return broken(
        f"{len(refused)} of {len(responses)} did not come ({counts}); {refused[0].place}: {refused[0].problem}",
        "allow the token's user to see them, or leave them out (--report)",
    )


@assumption("a rate limit is announced in the header that loads obey")
def rate_limit(evidence: Evidence) -> Finding:
    limit = evidence.headers.get(OBEYED, "")
    limits = {name: value for name, value in evidence.headers.items() if "ratelimit" in name.replace("-", "")}
    if limit.isdecimal():
        return holds(f"{limit} requests a minute announced, and obeyed")
    if limits:
        name = min(limits)
        seen = f"announced as {name}: {limits[name][:40]}, which loads do not obey"
        return broken(seen, "set requests_per_minute to it")
    return unclear(f"none announced in {evidence.requests} requests; loads obey a 429 in any case")
