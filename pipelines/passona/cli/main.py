"""The command line: all verbs, and how an error becomes one line and an exit code."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from importlib.metadata import version
from typing import Any

import click

from passona.cli import options
from passona.cli.campaigns import campaigns
from passona.cli.config import config
from passona.cli.doctor import doctor
from passona.cli.forget import forget
from passona.cli.generate import generate
from passona.cli.import_csv import import_csv
from passona.cli.load import load
from passona.cli.person import person
from passona.cli.publish import publish
from passona.cli.re_key import re_key
from passona.cli.report import report
from passona.cli.sandbox import sandbox
from passona.cli.status import status
from passona.cli.transform import transform
from passona.cli.verify import verify
from passona.config.signals import leave, listen, raise_pending
from passona.errors import Exit, Interrupted, PassonaError, causes
from passona.masking.messages import format_error, masked, printable
from passona.monitoring import logs

log = logging.getLogger("passona")


class _Verbs(click.Group):
    """Turns an error into one line and the contract's exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        listen()
        logs.begin()
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            _show(error)
            code = Exit.USAGE
        except BaseException as error:  # noqa: BLE001  # the last resort: one line instead of a traceback
            code = _fail(error)
        sys.exit(code or Exit.OK)


def _fail(error: BaseException) -> Exit:
    """Log the error in one line; return the exit code."""
    for cause in causes(error):
        if isinstance(cause, Interrupted):
            leave(cause.number)
    raise_pending()  # DuckDB turns a signal that arrives while it works into an error of its own
    line, code = format_error(error)
    trace = {"trace": _trace(error)} if log.isEnabledFor(logging.DEBUG) else {}
    log.error("%s", line, extra={"event": "error", "exit_code": int(code), **trace})
    return code


def _show(error: click.ClickException) -> None:
    """Show what is wrong with the command line: to people with its usage."""
    if logs.is_json():
        log.error("%s", masked(error.format_message()), extra={"event": "error", "exit_code": int(Exit.USAGE)})
        return
    text = io.StringIO()
    error.show(text)
    click.echo(masked(text.getvalue()), err=True, nl=False)


def _trace(error: BaseException) -> str:
    """Return where the error came from. Messages of libraries are left out: they may quote a row."""
    lines = []
    for cause in causes(error):
        message = f": {cause}" if isinstance(cause, PassonaError | OSError) else ""
        lines += [*traceback.format_tb(cause.__traceback__), f"{type(cause).__name__}{printable(message)}\n"]
    return "".join(lines)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Start with: passona load")
@click.version_option(version("passona-warehouse"), prog_name="passona")
def main() -> None:
    """Passona's SMS campaign reports in a DuckDB warehouse."""


options.with_output_options(main)
for _verb in (
    load, campaigns, status, verify, config, doctor, generate, import_csv, transform, report, publish, forget, person,
    re_key, sandbox,
):  # fmt: skip
    main.add_command(_verb)
