"""`passona forget --lift`: let people in again who were forgotten by mistake.

    phones -> entries -> removed from the list in warehouse and copies; reports that may lack rows -> due

No rows are written here: the next load requests the due reports and replaces their rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from passona.config.address import Address
from passona.config.privacy_settings import PrivacySettings
from passona.erasure.forget import Campaigns, Texts, drop_spools, in_copies, is_built, opened, privacy_there
from passona.errors import ConfigurationError, PassonaError
from passona.masking.people import people
from passona.masking.phones import ERASED
from passona.reports.definitions import REPORTS
from passona.reports.tables import TABLES
from passona.source.ledger import Key
from passona.warehouse.accounts import campaigns_of, rows_of
from passona.warehouse.connection import Connection, literal, quoted, temp_table, transaction
from passona.warehouse.database import Database
from passona.warehouse.ownership import dataset_columns
from passona.warehouse.policy_table import blocked_since, known_mode, privacy_of, unblock
from passona.warehouse.retention import expired_in_warehouse
from passona.warehouse.run_record import RunRecord

# The entries of the list that keep one person out.
Entries = tuple[str, ...]


@dataclass
class Lifted:
    """What was done. `people`: how many were kept out. `unknown`: the arguments that name nobody who was.

    `due`: reports that the next load requests. `unlisted`: those whose campaigns are not listed, so that only a load by
    uuid requests them. `expired`: reports past retention, which never come back. `built`: there are marts. `left`: why
    some copies are unchanged.
    """

    people: int = 0
    unknown: list[str] = field(default_factory=list)
    due: list[Key] = field(default_factory=list)
    unlisted: list[Key] = field(default_factory=list)
    expired: list[Key] = field(default_factory=list)
    built: bool = False
    left: list[PassonaError] = field(default_factory=list)


def lift(
    address: Address,
    texts: Texts,
    privacy_settings: PrivacySettings,
    wait: float,
    notify: Callable[[str], None],
    *,
    account: str | None = None,
    dry_run: bool = False,
) -> Lifted:
    """Let people in again whom `forget` keeps out of the warehouse and its copies. `dry_run`: only count.

    `account`: only those whom this account has forgotten.

    :raises ConfigurationError: a text is no phone, the privacy is not that of the warehouse, it lacks the account, or
        somebody is forgotten for all accounts.
    """
    lifted = Lifted()
    with opened(address, wait, notify) as database:
        campaigns = campaigns_of(database.connection, account)
        persons = _persons(database, texts, privacy_settings)
        _check_entries(database.connection, persons, account)
        mode = known_mode(database.connection)
        known = _kept_out(database.connection, list(persons), account)
        lifted.people = len(known)
        lifted.unknown = [where for entries, where in persons.items() if entries not in known]
        if known:
            _count(database.connection, privacy_settings, campaigns, lifted)
        if known and not dry_run:
            _let_in(database, known, account, lifted.due)

    def lift_in(copy: Path) -> None:
        if not dry_run:
            with opened(copy, wait, notify, whole=False) as database:
                privacy = privacy_there(database, mode, privacy_settings, "let in")
                there = [people([text], privacy).entries for text in texts] if privacy else list(persons)
                known = _kept_out(database.connection, there, account)
                unblock(database.connection, chain.from_iterable(known), account)

    lifted.left += in_copies(privacy_settings, "let in", lift_in)
    return lifted


def _persons(database: Database, texts: Texts, privacy_settings: PrivacySettings) -> dict[Entries, str]:
    """Return the entries of each person, with the argument that names the person."""
    privacy = privacy_of(database, privacy_settings)
    return {people([text], privacy).entries: text[0] for text in texts}


def _check_entries(connection: Connection, persons: Mapping[Entries, str], account: str | None) -> None:
    """Refuse to let in for one account who is forgotten for all."""
    for entries, where in persons.items():
        if account is not None and None in blocked_since(connection, entries):
            raise ConfigurationError(
                f"{where}: forgotten for all accounts, so not let in for {account} alone; passona forget --lift "
                "without --account lets the person in for all"
            )


def _kept_out(connection: Connection, persons: Sequence[Entries], account: str | None) -> list[Entries]:
    """Return those whom this account has forgotten; without one, those whom any has."""
    accounts = {entries: blocked_since(connection, entries).keys() for entries in persons}
    return [entries for entries in persons if (account in accounts[entries] if account else accounts[entries])]


def _count(connection: Connection, privacy_settings: PrivacySettings, campaigns: Campaigns, lifted: Lifted) -> None:
    past = expired_in_warehouse(connection, privacy_settings.retain_days, datetime.now(UTC))
    lifted.built = is_built(connection)
    with rows_of(connection, campaigns) as within:
        rows = connection.execute(
            "SELECT campaign_id, report, expired_at IS NOT NULL, coalesce(listed, false) "  # noqa: S608  # names of ours
            "FROM passona.report_ledger AS ledger LEFT JOIN passona.campaigns AS campaigns USING (campaign_id) "
            f"WHERE (suppressed > 0 OR (campaign_id, report) IN ({' UNION '.join(_marked(connection))})) AND {within} "
            "ORDER BY 1, 2"
        ).fetchall()
    for campaign_id, report, is_expired, is_listed in rows:
        if is_expired or campaign_id in past:
            lifted.expired.append((campaign_id, report))
            continue
        lifted.due.append((campaign_id, report))
        if not is_listed:
            lifted.unlisted.append((campaign_id, report))


def _marked(connection: Connection) -> Iterator[str]:
    """Yield queries for campaign and report of rows from which a text was erased, one for each table."""
    own = dataset_columns(connection)
    places = [(literal(report.name), name) for report in REPORTS.values() for name in report.tables]
    for report, table in [*places, ("report", "row_issues")]:
        texts = [name for name in own[table] if TABLES[table].sql_columns.get(name, "VARCHAR") == "VARCHAR"]
        marks = " OR ".join(f"strpos({quoted(name)}, {literal(ERASED)}) > 0" for name in texts if name[0] != "_")
        yield f"SELECT campaign_id, {report} FROM passona.{table} WHERE {marks}"  # noqa: S608  # quoted names


def _let_in(database: Database, persons: Sequence[Entries], account: str | None, due: Sequence[Key]) -> None:
    with database.run(RunRecord("forget", account)), database.writing("who is let in again"):
        with transaction(database.connection):
            unblock(database.connection, chain.from_iterable(persons), account)
            _make_due(database.connection, due)
        drop_spools(database)


def _make_due(connection: Connection, due: Sequence[Key]) -> None:
    """Clear the digests, so that the next walk is written even if it finds the same rows."""
    with temp_table(connection, campaign_id=[key[0] for key in due], report=[key[1] for key in due]):
        connection.execute(
            "UPDATE passona.report_ledger SET digest = NULL, state = CASE state WHEN 'settled' THEN 'open' "
            "ELSE state END WHERE (campaign_id, report) IN (SELECT campaign_id, report FROM given)"
        )
