"""`passona status`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.errors import Exit

if TYPE_CHECKING:
    from passona.monitoring.status import Status


@click.command(
    epilog="""\b
Examples:
  passona status
  passona status --max-age 26h      as a monitor's probe: 0 fresh, 4 not
  passona status --json"""
)
@click.option(
    "--max-age", metavar="AGE", help="End with 4 if anything is older than this (26h, 90m, 2d); shown by default: 26h."
)
@options.wait
@options.as_json
@options.output_options
def status(*, max_age: str | None, wait: float, as_json: bool) -> None:
    """Tell how fresh the warehouse is, and what is wrong with it.

    From the warehouse alone: the last runs, the state of each report, what failed or is held and why, what
    is overdue. Needs no token, asks nothing of the API and changes nothing. What retain_days keeps out of
    loads is not overdue, so it has to be set here as it is there.

    Exit codes: 0, and with --max-age 4 where something is overdue; 2 no warehouse, 6 busy.
    """
    from passona.cli.status_screen import print_status, status_json
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_retain_days
    from passona.monitoring.status import USUAL_AGE, age
    from passona.monitoring.status import status as status_of

    limit = age(max_age) if max_age else USUAL_AGE
    found = status_of(warehouse_address(), limit, wait, options.notify, load_retain_days())
    if as_json:
        click.echo(status_json(found))
    else:
        print_status(found)
    sys.exit(_exit_code(found) if max_age else Exit.OK)


def _exit_code(found: Status) -> Exit:
    return Exit.FAILED if found.overdue else Exit.OK
