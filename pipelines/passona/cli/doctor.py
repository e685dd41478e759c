"""`passona doctor`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from passona.cli import options
from passona.cli.screen import print_result, spinner
from passona.config.configuration import load_accounts
from passona.config.settings import Settings
from passona.errors import Exit
from passona.monitoring.doctor.diagnosis import Diagnosis, diagnose, document, print_diagnosis
from passona.monitoring.doctor.examination import examine


@options.verb("passona doctor", "passona doctor --json", "SOURCES__PASSONA__TIMEZONE=UTC passona doctor")
@options.accounts
@options.as_json
def doctor(*, accounts: Sequence[str], as_json: bool) -> Exit:
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
    diagnoses = {settings.label: _diagnosis(settings) for settings in load_accounts(*accounts)}
    code = min({diagnosis.exit_code for diagnosis in diagnoses.values()} - {Exit.OK}, default=Exit.OK)
    print_result(_document(diagnoses, code), lambda: _print(diagnoses), as_json=as_json)
    return code


def _diagnosis(settings: Settings) -> Diagnosis:
    with spinner(" ".join(filter(None, ["asking the API", settings.label]))):
        return diagnose(examine(settings, datetime.now(UTC)))


def _document(diagnoses: dict[str | None, Diagnosis], code: Exit) -> dict[str, Any]:
    if None in diagnoses:  # the only account
        return document(diagnoses[None])
    accounts = {str(name): document(diagnosis) for name, diagnosis in diagnoses.items()}
    return {"exit_code": int(code), "accounts": accounts}


def _print(diagnoses: dict[str | None, Diagnosis]) -> None:
    for number, (name, diagnosis) in enumerate(diagnoses.items()):
        if name is not None:
            click.echo("\n" * bool(number) + f"account {name}")
        print_diagnosis(diagnosis)
