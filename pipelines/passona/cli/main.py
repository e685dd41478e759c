"""The command line: all verbs, and how an error becomes one line and an exit code."""

import io
import logging
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from passona.cli import options
from passona.config.signals import leave, listen, raise_pending
from passona.errors import Exit, Interrupted, PassonaError, causes
from passona.masking.messages import format_error, masked, printable
from passona.monitoring import logs

log = logging.getLogger("passona")


# Each verb is imported when it is used: help must not wait for dlt.
_VERBS = {
    "load": "Bring the warehouse up to date.",
    "campaigns": "List the campaigns and the state of each report.",
    "status": "Show how fresh the warehouse is, and what is wrong with it.",
    "verify": "Recount and re-digest every report in the warehouse, and compare it with the ledger.",
    "config": "Show every setting with its value and origin.",
    "doctor": "Test every assumption about the API against a real account.",
    "generate": "Ask the server for reports as .csv files by mail.",
    "import-csv": "Load reports that came by mail as .csv files.",
    "transform": "Build and test the models of schema analytics on the warehouse.",
    "report": "Write one HTML page of figures and charts.",
    "publish": "Write a consistent copy for readers to PATH.",
    "forget": "Erase people from the warehouse and its published copies, and keep them out.",
    "person": "Print everything that is stored about a person, table by table.",
    "re-key": "Change the key of all tokens in the warehouse.",
    "sandbox": "Run a local Passona with made-up campaigns.",
}


class _Verbs(click.Group):
    """Imports verbs lazily, and turns an error into one line and the contract's exit code."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return [*_VERBS]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        module = name.replace("-", "_")
        command: click.Command = getattr(import_module(f"passona.cli.{module}"), module)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*_VERBS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        listen()
        logs.begin()
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            _show(error)
            code = Exit.USAGE
        except SystemExit as end:  # rich and click raise it when the reader of standard output has left
            code = end.code
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
