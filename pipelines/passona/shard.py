"""`--shard 3/8`: one part of the campaigns, so that several loads can share the work of one account.

A campaign's part is told by a digest of its uuid: it is the same in every run and on every machine, whatever
else is listed. Pure.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from passona.errors import ConfigurationError
from passona.settings import Settings


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of` parts, counted from 1."""

    number: int
    of: int

    def takes(self, campaign_id: str) -> bool:
        """Whether a campaign is in this part. Each is in one."""
        digest = hashlib.blake2b(campaign_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1

    def share(self, settings: Settings) -> Settings:
        """The settings with this part's share of what is the token's: `requests_per_minute`. Where the requests of
        all loads are counted together (Postgres), nobody needs it.

        What the server announces needs no sharing: it counts the requests of all.

        :raises ConfigurationError: there is less than one request a minute for each part.
        """
        bound = settings.requests_per_minute
        if bound is None:
            return settings
        if bound < self.of:
            raise ConfigurationError(
                f"--shard {self.number}/{self.of}: sources.passona.requests_per_minute ({bound}) leaves less than one "
                "request a minute for each shard; take fewer shards"
            )
        return replace(settings, requests_per_minute=bound // self.of)


WHOLE = Shard(1, 1)


def shard_of(text: str) -> Shard:
    """A shard as it is written, such as 3/8.

    :raises ConfigurationError: it is not of that form.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip(), re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigurationError(f"--shard {text[:30]!r}: expected a part and the number of parts, such as 3/8")
    return Shard(int(found[1]), int(found[2]))
