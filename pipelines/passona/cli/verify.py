"""`passona verify`."""

import click

from passona.cli import options
from passona.cli.screen import print_result, spinner
from passona.config.address import warehouse_address
from passona.errors import Exit
from passona.monitoring import logs
from passona.warehouse.verification import verify as verify_warehouse


@options.verb(
    "passona verify                    0: every report is what the ledger says; 4: some are not",
    "passona verify && passona load    after a backup was restored",
    "passona verify --json",
)
@options.wait
@options.as_json
def verify(*, wait: float, as_json: bool) -> Exit:
    """Recount and re-digest every report in the warehouse, and compare it with the ledger.

    Lists reports that differ or that a killed load left half written; the next passona load replaces them.
    Needs no token and sends no request.

    Exit codes: 0 nothing differs, 4 something does, 2 no warehouse, 6 busy.
    """
    with spinner("verifying the warehouse"):
        result = verify_warehouse(warehouse_address(), wait, logs.notify)
    for line in result.lines:
        logs.notify(line)
    code = Exit.FAILED if result.lines else Exit.OK
    document = {
        "exit_code": int(code),
        "reports": result.reports,
        "rows": result.rows,
        "interrupted": [{"campaign_id": uuid, "report": report} for uuid, report in result.interrupted],
        "differences": [vars(each) for each in result.differences],
    }
    summary = f"{result.reports:,} reports verified, {len(result.lines):,} differ; {result.rows:,} rows"
    print_result(document, lambda: click.echo(summary), as_json=as_json)
    return code
