"""`passona forget`: erase people from the warehouse and its published copies, and keep them out.

phones -> People -> rows erased, spools dropped -> kept out -> (marts rebuilt) -> file rewritten, bytes searched
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from passona.config.address import Address, real_path
from passona.config.privacy_settings import PrivacySettings
from passona.erasure._erase import erase, find_people, named_elsewhere, phones_of_texts, searchable_phones
from passona.erasure._linked_tables import erase_linked, linked_tables
from passona.errors import ConfigurationError, PassonaError
from passona.masking.people import People, people
from passona.masking.policy import Privacy
from passona.warehouse.atomic_file import AtomicFile
from passona.warehouse.connection import Connection, tables_of, transaction
from passona.warehouse.database import Database, open_database
from passona.warehouse.policy_table import block, known_mode, mode_of_copy, privacy_of, privacy_of_copy
from passona.warehouse.run_record import RunRecord

Texts = Sequence[tuple[str, str]]
# A warehouse's mode and the id of its key.
Mode = tuple[str, str | None]


@dataclass
class Forgotten:
    """What was erased. `tables`: rows by table, of all files. `built`: there are marts to rebuild.

    `unfound`: arguments of which the warehouse has no row. `elsewhere`: the user's tables on a server that name these
    people. `left`: why some copies are unchanged.
    """

    people: int = 0
    tables: Counter[str] = field(default_factory=Counter)
    spools: int = 0
    files: list[Address] = field(default_factory=list)
    searched: int = 0
    built: bool = False
    unfound: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    left: list[PassonaError] = field(default_factory=list)


def forget(
    address: Address,
    texts: Texts,
    privacy_settings: PrivacySettings,
    wait: float,
    notify: Callable[[str], None],
    *,
    dry_run: bool = False,
) -> Forgotten:
    """Erase people from the tables of the warehouse and keep them out. `rewrite_all` removes the bytes.

    :raises ConfigurationError: a text is no phone, or the privacy is not that of the warehouse.
    """
    with _opened(address, wait, notify) as database:
        who = people(texts, privacy_of(database, privacy_settings))
        forgotten = Forgotten(len({values for _, values in who.places}), built=is_built(database.connection))
        if dry_run:
            _erase(database, who, forgotten, keep=False)
            forgotten.left += in_copies(privacy_settings, "forgotten", lambda _: None)
            return forgotten
        with database.run(record := RunRecord("forget")):
            _erase(database, who, forgotten, keep=True)
            forgotten.spools = drop_spools(database)
            record.erased = forgotten.tables.total()
    return forgotten


def rewrite_all(
    address: Address,
    texts: Texts,
    privacy_settings: PrivacySettings,
    wait: float,
    notify: Callable[[str], None],
    *,
    into: Forgotten,
) -> None:
    """Rewrite the warehouse, and erase the same people from its copies and rewrite those.

    `into`: collects the results, and why some copies are unchanged.

    :raises StillThere: the bytes of the warehouse still contain a number.
    """
    with _opened(address, wait, notify) as database:
        who = people(texts, privacy_of(database, privacy_settings))
        mode = known_mode(database.connection)
        into.searched += database.rewrite(searchable_phones(database.connection, who.phones), wait, notify)
        into.files.append(address)

    def forget_in(copy: Path) -> None:
        AtomicFile(copy).clear()  # leftovers of a killed publish name them too
        with _opened(copy, wait, notify, whole=False) as database:
            privacy = privacy_there(database, mode, privacy_settings, "forgotten")
            into.tables += _erased(database, people(texts, privacy) if privacy else who, keep=True)
            into.searched += database.rewrite(searchable_phones(database.connection, who.phones), wait, notify)
            into.files.append(copy)

    into.left += in_copies(privacy_settings, "forgotten", forget_in)


def in_copies(privacy_settings: PrivacySettings, done: str, work: Callable[[Path], None]) -> list[PassonaError]:
    """Do this work on each published copy; return the errors. `done`: a verb for the messages."""
    left: list[PassonaError] = []
    for published in map(Path, privacy_settings.published):
        try:
            copy = real_path(published)
            if not copy.is_file():
                raise ConfigurationError(
                    f"{copy}: nobody was {done} there, because there is no such file (sources.passona.published): "
                    "bring it back and run this again, or take it out of published if it is gone for good"
                )
            work(copy)
        except PassonaError as error:
            left.append(error)
    return left


def privacy_there(database: Database, mode: Mode, privacy_settings: PrivacySettings, done: str) -> Privacy | None:
    """Return the privacy of a copy, None if it is that of the warehouse, `mode`.

    A copy of a clear warehouse may have tokens (`publish --privacy`). `done`: a verb for the message.

    :raises ConfigurationError: the copy is of another mode or key.
    """
    copy_mode = mode_of_copy(database.connection)
    if copy_mode in (mode, None):
        return None
    if mode[0] == "clear" and copy_mode and privacy_settings.privacy_key:
        privacy = privacy_of_copy(privacy_settings, copy_mode[0])
        if copy_mode[1] == privacy.tokens.key_id:
            return privacy
    raise ConfigurationError(
        f"{database.address}: nobody was {done} there, because it is of another mode or key than the warehouse; "
        "publish it again (passona publish)"
    )


@contextmanager
def _opened(address: Address, wait: float, notify: Callable[[str], None], *, whole: bool = True) -> Iterator[Database]:
    """Open a warehouse or a copy. `whole`: create missing tables of the contract."""
    with closing(open_database(address, wait, notify)) as database:
        if whole:
            database.prepare()
        yield database


def _erase(database: Database, who: People, into: Forgotten, *, keep: bool) -> None:
    """Erase from the tables; without `keep`, only count."""
    into.unfound = who.unfound(find_people(database.connection, who.values))
    into.elsewhere = named_elsewhere(database.connection, who)
    into.tables = _erased(database, who, keep=keep)


def _erased(database: Database, who: People, *, keep: bool) -> Counter[str]:
    """Erase from tables that foreign keys link, then from all others in one transaction. Without `keep`: count."""
    connection = database.connection
    in_texts, linked = phones_of_texts(connection, who.phones), linked_tables(connection)
    tables = erase_linked(connection, who, in_texts, linked, keep=keep)
    with transaction(connection, keep=keep):
        tables += erase(connection, who, in_texts, linked)
        block(database, who.entries)
    return tables


def drop_spools(database: Database) -> int:
    """Delete the spools, which have whole pages: unfinished walks start again. Return how many."""
    spools = list(database.spools.iterdir())
    shutil.rmtree(database.spools)
    database.spools.mkdir(mode=0o700)
    return len(spools)


def is_built(connection: Connection) -> bool:
    """Return True if there are marts."""
    return "int_built_campaigns" in tables_of(connection, "analytics_staging")
