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
from passona.erasure._erase import (
    erase,
    find_people,
    named_elsewhere,
    phones_of_texts,
    phones_that_remain,
    searchable_phones,
)
from passona.erasure._linked_tables import erase_linked, linked_tables
from passona.erasure.text_columns import of_campaigns, text_columns
from passona.errors import ConfigurationError, PassonaError
from passona.masking.people import People, people
from passona.masking.policy import Privacy
from passona.warehouse.accounts import account_of_copy, campaigns_of, rows_of
from passona.warehouse.atomic_file import AtomicFile
from passona.warehouse.connection import Connection, is_server, tables_of, transaction
from passona.warehouse.database import Database, open_database
from passona.warehouse.policy_table import (
    add_account_column,
    block,
    known_mode,
    mode_of_copy,
    privacy_of,
    privacy_of_copy,
)
from passona.warehouse.run_record import RunRecord

Texts = Sequence[tuple[str, str]]
# A warehouse's mode and the id of its key.
Mode = tuple[str, str | None]
# The campaigns of one account, None for all.
Campaigns = frozenset[str] | None


@dataclass
class Forgotten:
    """What was erased. `tables`: rows by table, of all files. `built`: there are marts to rebuild.

    `unsearched`: by file, how many numbers its bytes were not searched for, because other accounts or users' tables
    have them. `unfound`: arguments of which the warehouse, or the account, has no row. `elsewhere`: the user's tables
    that name these people and are not erased. `left`: why some copies are unchanged.
    """

    people: int = 0
    tables: Counter[str] = field(default_factory=Counter)
    spools: int = 0
    files: list[Address] = field(default_factory=list)
    searched: int = 0
    unsearched: dict[Address, int] = field(default_factory=dict)
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
    account: str | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Erase people from the tables of the warehouse and keep them out. `rewrite_all` removes the bytes.

    `account`: only from its campaigns, and out of its loads.

    :raises ConfigurationError: a text is no phone, the privacy is not that of the warehouse, or it lacks the account.
    """
    with opened(address, wait, notify) as database:
        campaigns = campaigns_of(database.connection, account)
        who = people(texts, privacy_of(database, privacy_settings))
        forgotten = Forgotten(len({values for _, values in who.places}), built=is_built(database.connection))
        if dry_run:
            _erase(database, who, forgotten, account, campaigns, keep=False)
            forgotten.left += in_copies(privacy_settings, "forgotten", lambda _: None)
            return forgotten
        with database.run(record := RunRecord("forget", account)):
            _erase(database, who, forgotten, account, campaigns, keep=True)
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
    account: str | None = None,
) -> None:
    """Rewrite the warehouse, and erase the same people from its copies and rewrite those.

    `into`: collects the results, and why some copies are unchanged. `account`: as for `forget`.

    :raises StillThere: the bytes of the warehouse still contain a number.
    """

    def rewrite(database: Database, campaigns: Campaigns) -> None:
        gone = _gone(database, who, campaigns, into)
        into.searched += database.rewrite(gone, wait, notify)
        into.files.append(database.address)

    with opened(address, wait, notify) as database:
        campaigns = campaigns_of(database.connection, account)
        who = people(texts, privacy_of(database, privacy_settings))
        mode = known_mode(database.connection)
        rewrite(database, campaigns)

    def forget_in(copy: Path) -> None:
        AtomicFile(copy).clear()  # leftovers of a killed publish name them too
        with opened(copy, wait, notify, whole=False) as database:
            privacy = privacy_there(database, mode, privacy_settings, "forgotten")
            # Of a copy of this account, every row is to go, even if the campaign is another account's by now.
            some = None if account_of_copy(database.connection) == account else campaigns
            into.tables += _erased(database, people(texts, privacy) if privacy else who, account, some, keep=True)
            rewrite(database, some)

    into.left += in_copies(privacy_settings, "forgotten", forget_in)


def _gone(database: Database, who: People, campaigns: Campaigns, into: Forgotten) -> list[str]:
    """Return the phones to search for in the bytes of a file.

    If they were erased from some campaigns only, not those that something else in the file has.
    """
    phones, connection = who.phones, database.connection
    if campaigns is not None and not is_server(connection):
        remaining = phones_that_remain(connection, phones)
        phones = tuple(phone for phone in phones if phone not in remaining)
        if remaining:
            into.unsearched[database.address] = len(remaining)
    return searchable_phones(connection, phones)


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
def opened(address: Address, wait: float, notify: Callable[[str], None], *, whole: bool = True) -> Iterator[Database]:
    """Open a warehouse or a copy. `whole`: create missing tables of the contract."""
    with closing(open_database(address, wait, notify)) as database:
        if whole:
            database.prepare()
        else:
            add_account_column(database.connection)
        yield database


def _erase(
    database: Database, who: People, into: Forgotten, account: str | None, campaigns: Campaigns, *, keep: bool
) -> None:
    """Erase from the tables; without `keep`, only count."""
    connection = database.connection
    with rows_of(connection, campaigns) as within:
        columns = of_campaigns(text_columns(connection), within)
        into.unfound = who.unfound(find_people(connection, who.values, columns))
    if campaigns is not None or is_server(connection):
        into.elsewhere = named_elsewhere(connection, who)
    into.tables = _erased(database, who, account, campaigns, keep=keep)


def _erased(database: Database, who: People, account: str | None, campaigns: Campaigns, *, keep: bool) -> Counter[str]:
    """Erase from tables that foreign keys link, then from all others in one transaction. Without `keep`: count.

    Only users' tables have foreign keys. They are not of one account, so those of `campaigns` do not include them.
    """
    connection = database.connection
    in_texts = phones_of_texts(connection, who.phones)
    linked = linked_tables(connection) if campaigns is None else []
    tables = erase_linked(connection, who, in_texts, linked, keep=keep)
    with rows_of(connection, campaigns) as within, transaction(connection, keep=keep):
        tables += erase(connection, who, in_texts, linked, within)
        block(connection, who.entries, account)
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
