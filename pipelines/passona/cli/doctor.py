"""`passona doctor`."""

from __future__ import annotations

import sys

import click

from passona.cli import options


@click.command(
    epilog="""\b
Examples:
  passona doctor
  passona doctor --json
  SOURCES__PASSONA__TIMEZONE=UTC passona doctor"""
)
@options.as_json
@options.output_options
def doctor(*, as_json: bool) -> None:
    """Check a real account against every assumption.

    Sends some forty requests at most that only read, writes nothing, opens no warehouse. A line for each
    assumption: ok, it holds; WRONG, it does not, and loads fail or figures are wrong until that is mended;
    differs, it does not, and loads are right all the same; ?, what was seen cannot tell.

    \b
    Ends with
      0  nothing is WRONG
      3  the server refuses the token
      4  something is WRONG, or the server does not answer
    """
    from datetime import UTC, datetime

    from passona.cli.screen import json_text
    from passona.config.configuration import load_settings
    from passona.config.dbt_project import project_folder
    from passona.monitoring.doctor.assumptions import diagnose, known_statuses
    from passona.monitoring.doctor.examination import examine
    from passona.monitoring.doctor.table import document, print_diagnosis, waiting

    settings = load_settings()
    statuses = known_statuses(project_folder())
    with waiting():
        seen = examine(settings, datetime.now(UTC))
    found = diagnose(seen, statuses)
    if as_json:
        click.echo(json_text(document(found)))
    else:
        print_diagnosis(found)
    sys.exit(found.exit_code)
