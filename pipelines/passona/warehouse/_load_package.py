"""One load package of the command line: verified walks to write, ledger entries, changed campaigns."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
from dlt.common.schema import Schema
from dlt.extract import DltSource

from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.reports.tables import DATASET, TABLES
from passona.source.ledger import Entry
from passona.source.resources import TABLES_BY_RESOURCE, CampaignLoad, Declaration, Item, ReportLoad, resource
from passona.source.walk import Walk


@dataclass
class Package:
    """One load package. `rows`: of its walks; `memory`: bytes of them in memory. `columns`: by report, those of keys
    that the guide does not know. `accounts`: by campaign, whose walks are in it. `counts`: by account and report.
    """

    walks: list[Walk] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    campaigns: pa.Table | None = None
    groups: pa.Table | None = None
    campaign_issues: pa.Table | None = None
    rows: int = 0
    memory: int = 0
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def reset_counts(self) -> None:
        """Prepare for another attempt to write it."""
        self.counts.clear()

    @property
    def empty(self) -> bool:
        return not self.entries and self.campaigns is None

    def add(self, walk: Walk, account: str) -> None:
        self.walks.append(walk)
        self.accounts[walk.campaign_id] = account
        self.rows += walk.row_count
        self.memory += walk.spool.memory

    def source(self, unknown: Collection[str], *, fresh: bool) -> DltSource:
        """Return the package as a dlt source.

        `unknown`: tables that dlt's schema lacks. `fresh`: the tables hold no row or issue of its walks' campaigns, so
        nothing is replaced.
        """
        without_resource = sorted(TABLES.keys() - {table for tables in TABLES_BY_RESOURCE.values() for table in tables})

        def items(name: str) -> Iterator[Item]:
            if declared := [table for table in TABLES_BY_RESOURCE.get(name, (name,)) if table in unknown]:
                yield Declaration(declared)
            if name == CAMPAIGNS.name and self.campaigns is not None:
                yield CampaignLoad(self.campaigns, self.groups, self.campaign_issues)
            elif name in REPORTS:
                yield from self._report_loads(REPORTS[name], REPORTS[name].tables if fresh else ())

        # dlt begins with the last one, so its schema has the tables in this order.
        names = reversed((*TABLES_BY_RESOURCE, *without_resource))
        return DltSource(Schema(DATASET), DATASET, [resource(name, partial(items, name)) for name in names])

    def _report_loads(self, report: Report, append_tables: Iterable[str]) -> Iterator[ReportLoad]:
        walks = [walk for walk in self.walks if walk.report is report]
        entries = [entry for entry in self.entries if entry.report == report.name]
        columns = self.columns.get(report.name, {})
        accounts = dict.fromkeys(self.accounts[walk.campaign_id] for walk in walks) if walks else [""]
        for account in accounts if entries else ():
            own = [walk for walk in walks if self.accounts[walk.campaign_id] == account]
            counts = self.counts[account, report.name]
            yield ReportLoad(report, own, entries, columns, append_tables=append_tables, counts=counts)
            entries = []
