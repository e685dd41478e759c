"""`passona verify`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.errors import Exit

if TYPE_CHECKING:
    from passona.warehouse.verification import Verification


@click.command(
    epilog="""\b
Examples:
  passona verify                    0: every report is what the ledger says; 4: some are not
  passona verify && passona load    after a backup was restored
  passona verify --json"""
)
@options.wait
@options.as_json
@options.output_options
def verify(*, wait: float, as_json: bool) -> None:
    """Recount and re-digest every report in the warehouse against its ledger.

    Reports that differ, or that a killed load left half written, are listed and become due: the next passona load
    replaces them. Needs no token and sends no request.

    Exit codes: 0 nothing differs, 4 something does, 2 no warehouse, 6 busy.
    """
    from passona.cli.screen import json_text, spinner
    from passona.config.address import warehouse_address
    from passona.warehouse.verification import verify as verify_warehouse

    with spinner("verifying the warehouse"):
        found = verify_warehouse(warehouse_address(), wait, options.notify)
    for line in found.lines:
        options.notify(line)
    if as_json:
        click.echo(json_text(_document(found)))
    else:
        click.echo(f"{found.reports:,} reports verified, {len(found.lines):,} differ; {found.rows:,} rows")
    sys.exit(Exit.FAILED if found.lines else Exit.OK)


def _document(found: Verification) -> dict[str, object]:
    return {
        "exit_code": int(Exit.FAILED if found.lines else Exit.OK),
        "reports": found.reports,
        "rows": found.rows,
        "interrupted": [{"campaign_id": uuid, "report": report} for uuid, report in found.interrupted],
        "differences": [vars(each) for each in found.differences],
    }
