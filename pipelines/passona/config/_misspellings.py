"""Find settings whose names are misspelled, and settings that have no effect here.

A misspelled setting would be ignored silently, and personal data loaded in clear text. So a name that is nearly one of
ours is an error. Settings for other pipelines are left alone.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher

from passona.config._lookup import PLACES, Section, Setting
from passona.reports.definitions import CAMPAIGNS, REPORTS

SOURCE: Section = ("sources", "passona")
WAREHOUSE: Section = ("destination", "warehouse")
# Accounts beside that of SOURCE: a section for each.
ACCOUNTS: Section = (*SOURCE, "accounts")
# dlt's own sections under a source. They configure pipelines that the user runs, not this program.
_SUBSECTIONS = {"data_writer", "schema", "extract", "normalize", "load", CAMPAIGNS.name, *REPORTS,
                "row_issues", "report_ledger"}  # fmt: skip
# Sections and keys of dlt that people set for a pipeline. Here dlt sees none of them (`dlt_context`).
_OF_DLT = {"runtime", "normalize", "load", "extract", "schema", "data_writer", "pipeline_name", "pipelines_dir",
           "dataset_name", "dataset_name_layout", "destination_type", "destination_name", "credentials",
           "loader_file_format", "write_disposition", "restore_from_destination", "use_single_dataset", "dev_mode",
           "full_refresh", "refresh", "progress", "log_level"}  # fmt: skip
# From this likeness on, one word counts as a misspelling of the other.
_ALIKE = 0.8

Keys = Mapping[Section, Collection[str]]


def find_misspelled(settings: Iterable[Setting], keys: Keys) -> dict[str, str]:
    """Return the names meant for our sections that these do not know, each with the nearest right name.

    `keys`: the keys of each section.
    """
    return {setting.name: meant for setting in settings if (meant := _meant(setting, keys))}


def find_ineffective(settings: Iterable[Setting], keys: Keys) -> list[Setting]:
    """Return the settings that seem to configure this program, but have no effect."""
    return [setting for setting in settings if _meant(setting, keys) is None and _is_without_effect(setting, keys)]


def _meant(setting: Setting, keys: Keys) -> str | None:
    path = setting.path
    if path[:2] == SOURCE and len(path) > len(ACCOUNTS) and _alike(path[2], ACCOUNTS[2]):
        return _meant_in_account(setting, keys)
    for section in (SOURCE, WAREHOUSE):
        known = keys[section]
        if path[:2] == section and not _is_known(path[2:], section, known):
            return _nearest(setting, section, "_".join(path[2:3]), known)
        if path[:2] != section and _is_near(path, section, known):
            return _nearest(setting, section, path[-1].lower().rpartition(f"{section[1]}_")[2], known)
    return None


def _meant_in_account(setting: Setting, keys: Keys) -> str | None:
    """Return the right name of a key in the section of an account, None if it is right."""
    _, _, word, name, *rest = setting.path
    section, key = (*ACCOUNTS, name), "_".join(rest[:1])
    if word == ACCOUNTS[2] and len(rest) == 1 and key in keys[ACCOUNTS]:
        return None
    if key in keys[SOURCE] and key not in keys[ACCOUNTS]:  # it applies to the whole warehouse
        return _nearest(setting, SOURCE, key, keys[SOURCE])
    return _nearest(setting, section, key, keys[ACCOUNTS])


def _is_known(rest: Section, section: Section, known: Collection[str]) -> bool:
    if section == WAREHOUSE:  # a destination has many options of dlt's own
        return bool(rest) and (rest[0] in known or not any(_alike(rest[0], key) for key in known))
    return bool(rest) and rest[0] in (known if len(rest) == 1 else _SUBSECTIONS)


def _is_near(path: Section, section: Section, known: Collection[str]) -> bool:
    """Return True if a name outside this section can only be meant for it."""
    words = _words(path)
    if section == SOURCE and words[:1] == [SOURCE[1]] and len(path) > 1:
        return True
    if len(words) < 2 or not all(map(_alike, words, section)):
        return False
    if len(path) == 1:  # destination and warehouse are common words
        return section == SOURCE or any(_alike("_".join(words[2:]), key) for key in known)
    return not (path[0] == section[0] and len(path) > 2 and _is_another(path[1], section[1]))


def _is_another(name: str, ours: str) -> bool:
    """Return True for a name made from ours for something else: passona_eu, my_passona, warehouse2."""
    return name != ours and re.search(rf"(^|_){ours}(_|\d)|_{ours}$", name) is not None


def _words(path: Section) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", ".".join(path).lower()) if word]


def _alike(one: str, other: str) -> bool:
    return _likeness(one, other) >= _ALIKE


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _nearest(setting: Setting, section: Section, name: str, known: Collection[str]) -> str:
    """Return the full name of the key nearest to `name`, in the notation of this setting."""
    path = (*section, max(known, key=lambda key: _likeness(name, key)))
    return "__".join(path).upper() if setting.is_variable else ".".join(path)


def _is_without_effect(setting: Setting, keys: Keys) -> bool:
    path, ours = setting.path, {key for known in keys.values() for key in known}
    if path[:2] in keys:
        return path[:3] != ACCOUNTS and path[2] not in keys[path[:2]]
    if path[0] == "pipelines":
        return path[1:2] == SOURCE[1:] or len(path) == 2
    if setting.is_variable and re.match("dbt_|dlt_", path[0]):
        return setting.origin not in PLACES
    return (
        path[0] in _OF_DLT
        or (len(path) == 1 and path[0].removeprefix("passona_") in ours)
        or (len(path) == 2 and path[0] in (SOURCE[0], WAREHOUSE[0]) and path[1] in ours | _OF_DLT)
    )
