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
    """Test every assumption about the API against a real account.

    Sends about forty requests that only read, writes nothing, and opens no warehouse. Each assumption has a
    line. ok: it holds. WRONG: it is broken, and loads fail or figures are wrong until you fix that. differs: it
    is broken, but loads cope. ?: the account does not show it.

    \b
    Exit codes:
      0  nothing is WRONG
      3  the server refused the token
      4  something is WRONG, or the server does not answer
    """
    from datetime import UTC, datetime

    from passona.cli.screen import json_text, spinner
    from passona.config.configuration import load_settings
    from passona.monitoring.doctor.diagnosis import diagnose, document, print_diagnosis
    from passona.monitoring.doctor.examination import examine

    settings = load_settings()
    with spinner("asking the API"):
        diagnosis = diagnose(examine(settings, datetime.now(UTC)))
    if as_json:
        click.echo(json_text(document(diagnosis)))
    else:
        print_diagnosis(diagnosis)
    sys.exit(diagnosis.exit_code)
