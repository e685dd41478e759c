"""`passona doctor`."""

from datetime import UTC, datetime

from passona.cli import options
from passona.cli.screen import print_result, spinner
from passona.config.configuration import load_settings
from passona.errors import Exit
from passona.monitoring.doctor.diagnosis import diagnose, document, print_diagnosis
from passona.monitoring.doctor.examination import examine


@options.verb("passona doctor", "passona doctor --json", "SOURCES__PASSONA__TIMEZONE=UTC passona doctor")
@options.as_json
def doctor(*, as_json: bool) -> Exit:
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
    settings = load_settings()
    with spinner("asking the API"):
        diagnosis = diagnose(examine(settings, datetime.now(UTC)))
    print_result(document(diagnosis), lambda: print_diagnosis(diagnosis), as_json=as_json)
    return diagnosis.exit_code
