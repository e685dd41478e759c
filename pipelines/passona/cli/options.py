"""What verbs share: the decorator, and options with one spelling and one help text.

A verb's function returns its exit code; None is 0.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from passona.errors import ConfigurationError
from passona.masking.messages import masked
from passona.monitoring import logs
from passona.monitoring.failure_hook import check_target
from passona.reports.definitions import REPORTS, Report
from passona.warehouse.atomic_file import AtomicFile, usual_mode

log = logging.getLogger("passona")


def verb(*examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function, with these examples and the options that every verb has."""
    epilog = "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])
    return lambda function: with_output_options(click.command(epilog=epilog)(function))


def with_output_options(command: click.Command) -> click.Command:
    """Add the options that every verb has, and that may also come before it."""
    command.params += [
        click.Option(
            ["--log-format"],
            type=click.Choice(["text", "json"]),
            default="text",
            expose_value=False,
            is_eager=True,  # before any other option can be wrong
            callback=_log_format,
            help="Write stderr for people, or as one JSON object a line.",
        ),
        _level_option(["-v", "--verbose"], logging.INFO, "Show retries on stderr."),
        _level_option(["--debug"], logging.DEBUG, "Show where an error came from."),
    ]
    return command


def _log_format(_context: click.Context, _parameter: click.Parameter, name: str) -> None:
    if name == "json":
        logs.use_json()


def _level_option(names: Sequence[str], level: int, text: str) -> click.Option:
    def lower(_context: click.Context, _parameter: click.Parameter, is_set: bool) -> None:
        if is_set:
            log.setLevel(min(level, log.level))

    return click.Option(names, is_flag=True, expose_value=False, callback=lower, help=text)


def _metrics(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> AtomicFile | None:
    if path is None:
        return None
    if not path.parent.is_dir():
        raise click.BadParameter(f"the folder does not exist: {path.parent}")
    if path.exists() and not path.is_file():
        raise click.BadParameter(f"it exists and is not a regular file: {path}")
    return AtomicFile(path.resolve(), usual_mode())


def _on_failure(_context: click.Context, _parameter: click.Parameter, target: str | None) -> str | None:
    if target is not None:
        check_target(target)
    return target


def _reports(_context: click.Context, _parameter: click.Parameter, names: Sequence[str]) -> tuple[Report, ...]:
    return tuple(REPORTS[name] for name in dict.fromkeys(names)) or tuple(REPORTS.values())


wait = click.option(
    "--wait", default=60.0, show_default=True, help="Seconds to wait while another process uses the warehouse."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
marts_only = click.option(
    "--marts-only", is_flag=True, help="Publish only the sums of schema analytics, no rows of persons."
)
accounts = click.option(
    "--account", "accounts", metavar="NAME", multiple=True, help="Only this account; may be repeated."
)
account = click.option(
    "--account",
    metavar="NAME",
    help="Account of the campaigns, if there are several and the warehouse does not know it.",
)
metrics = click.option(
    "--metrics",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_metrics,
    help="Replace this file with the outcome as OpenMetrics text.",
)
on_failure = click.option(
    "--on-failure",
    metavar="COMMAND|URL",
    callback=_on_failure,
    help="On exit codes 1 to 6, run this without a shell, the JSON outcome on its stdin, or POST it there.",
)
reports = click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Choice(list(REPORTS)),
    callback=_reports,
    help="Only this report; may be repeated.",
)


def lines_of(file: Path) -> list[tuple[str, str]]:
    """Read the lines of a file (`-`: standard input), each with its place, without comments (#) and blank lines.

    :raises ConfigurationError: the file cannot be read, or is not UTF-8.
    """
    name = "standard input" if str(file) == "-" else masked(file.name or str(file))
    try:
        with click.open_file(str(file), encoding="utf-8-sig") as opened:
            lines = opened.read().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} is not UTF-8 text; save it as UTF-8") from None
    stripped = [(f"{name}, line {number}", line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    return [(place, text) for place, text in stripped if text]
