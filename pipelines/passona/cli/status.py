"""`passona status`."""

from __future__ import annotations

import click

from passona.cli import options
from passona.errors import Exit
from passona.monitoring import logs


@options.verb(
    "passona status", "passona status --max-age 26h      as a monitor's probe: 0 fresh, 4 not", "passona status --json"
)
@click.option(
    "--max-age",
    metavar="AGE",
    help="Exit with 4 if anything is older than this (26h, 90m, 2d). Default: show what is older than 26h.",
)
@options.wait
@options.as_json
def status(*, max_age: str | None, wait: float, as_json: bool) -> Exit:
    """Show how fresh the warehouse is, and what is wrong with it.

    Reads only the warehouse: the last runs, the state of each report, which reports failed or are held and why, and
    what is overdue. Needs no token, sends no request and changes nothing. Campaigns past retain_days are not
    overdue, so set it here as for the loads.

    Exit codes: 0, with --max-age 4 if something is overdue; 2 no warehouse, 6 busy.
    """
    from passona.cli.screen import print_result
    from passona.cli.status_screen import print_status, status_document
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_retain_days
    from passona.monitoring.status import USUAL_AGE, age
    from passona.monitoring.status import status as status_of

    limit = age(max_age) if max_age else USUAL_AGE
    result = status_of(warehouse_address(), limit, wait, logs.notify, load_retain_days())
    print_result(status_document(result), lambda: print_status(result), as_json=as_json)
    return Exit.FAILED if max_age and result.overdue else Exit.OK
