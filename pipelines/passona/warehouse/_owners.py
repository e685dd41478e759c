"""Which account loads each campaign, from the lists of all accounts and what the warehouse holds. Pure.

lists, stored campaigns -> lists that the guard holds -> a loader for each campaign
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from passona.errors import Held
from passona.masking.messages import counted
from passona.source.campaigns import CampaignList, list_shrink_error

# By campaign its account, and whether it was in the last list.
Stored = Mapping[str, tuple[str | None, bool]]
_NEW = (None, False)


@dataclass(frozen=True)
class Owners:
    """The lists of one run, and what the warehouse held before.

    `lists`: those that could be read, in the order of the accounts. `selected`: accounts of this run; `configured`:
    all accounts.
    """

    lists: Mapping[str, CampaignList] = field(default_factory=dict)
    stored: Stored = field(default_factory=dict)
    selected: Collection[str] = ()
    configured: Collection[str] = ()
    accept_shrink: bool = False

    @cached_property
    def listed_by(self) -> dict[str, list[str]]:
        """By campaign the accounts that list it, in their order."""
        listed_by: dict[str, list[str]] = {}
        for name, listed in self.lists.items():
            for campaign in listed.campaigns:
                listed_by.setdefault(campaign.campaign_id, []).append(name)
        return listed_by

    @cached_property
    def held(self) -> dict[str, Held]:
        """The errors of lists that the shrink guard holds.

        A campaign that another account lists is lost, too: the tokens may have been exchanged.
        """
        if self.accept_shrink:
            return {}
        errors = {name: self._shrink(name, listed) for name, listed in self.lists.items()}
        return {name: error for name, error in errors.items() if error is not None}

    def _shrink(self, name: str, listed: CampaignList) -> Held | None:
        before = {uuid for uuid, (owner, was_listed) in self.stored.items() if owner == name and was_listed}
        now = {campaign.campaign_id for campaign in listed.campaigns}
        return list_shrink_error(len(before), len(before & now), len(now))

    @property
    def accepted(self) -> list[str]:
        return [name for name in self.lists if name not in self.held]

    @cached_property
    def loaders(self) -> dict[str, str]:
        """By campaign of the lists, the account that loads it in a load of all campaigns; some are loaded by none."""
        loaders = {uuid: self._loader(uuid, accounts) for uuid, accounts in self.listed_by.items()}
        return {uuid: loader for uuid, loader in loaders.items() if loader is not None}

    def _loader(self, uuid: str, accounts: Sequence[str]) -> str | None:
        """Return the account that a campaign belongs to, as long as that lists it, otherwise the first that does.

        A list that is held proves only that campaigns that were listed before are still there.
        """
        owner, was_listed = self.stored.get(uuid, _NEW)
        if owner in accounts and (owner not in self.held or was_listed):
            return owner
        if owner in self.held or (was_listed and owner in self.configured and owner not in self.selected):
            return None
        return next((name for name in accounts if name not in self.held), None)

    def loader_of(self, uuid: str) -> str | None:
        """Return the account that loads a campaign if the user names it; None if it is to be asked of none."""
        if loader := self.loaders.get(uuid):
            return loader
        owner = self.owner(uuid)
        if owner in self.configured:
            return owner if owner in self.selected else None
        return next(iter(self.selected)) if len(self.selected) == 1 else None

    def owner(self, uuid: str) -> str | None:
        """Return the account that a campaign belongs to, as far as that is known."""
        first = next(iter(self.listed_by.get(uuid, ())), None)
        return self.loaders.get(uuid) or self.stored.get(uuid, _NEW)[0] or first

    def why_not(self, uuid: str) -> str | None:
        """Return why no account of this run loads a campaign that the user named; None if one does."""
        if self.loader_of(uuid) is not None:
            return None
        owner = self.owner(uuid)
        if owner in self.configured:
            return f"it belongs to account {owner}, which this run does not load; --account {owner} does"
        unread = [name for name in self.selected if name not in self.lists]
        seen = f"the list of {' and '.join(unread)} could not be read, and " if unread else ""
        return f"{seen}no account lists it; check the uuid, or name the account that has it with --account NAME"

    @property
    def left(self) -> list[str]:
        """Campaigns that were listed, and are no longer in the list of their account."""
        return [
            uuid
            for uuid, (owner, was_listed) in self.stored.items()
            if was_listed
            and owner in self.accepted
            and uuid not in self.loaders
            and owner not in self.listed_by.get(uuid, ())
        ]

    @property
    def back(self) -> list[str]:
        """Campaigns that had left the list and are in one again."""
        accepted = {uuid for uuid, loader in self.loaders.items() if loader not in self.held}
        return [uuid for uuid, (_, was_listed) in self.stored.items() if not was_listed and uuid in accepted]

    @cached_property
    def moved(self) -> dict[str, tuple[str, str]]:
        """By campaign that changes its account, the old one and the new one."""
        owners = ((uuid, self.stored.get(uuid, _NEW)[0], loader) for uuid, loader in self.loaders.items())
        return {uuid: (old, new) for uuid, old, new in owners if old is not None and old != new}

    @property
    def notices(self) -> list[str]:
        """A line for campaigns that several accounts list, and for those that change their account."""
        several = [(tuple(accounts), uuid) for uuid, accounts in self.listed_by.items() if len(accounts) > 1]
        shared = Counter((names, self.loaders[uuid]) for names, uuid in several if uuid in self.loaders)
        return [
            f"{counted(number, 'campaign')} in the lists of {' and '.join(names)}: loaded once, by account {loader}"
            for (names, loader), number in shared.items()
        ] + [
            f"{counted(number, 'campaign')} moved from account {old} to {new}"
            for (old, new), number in Counter(self.moved.values()).items()
        ]
