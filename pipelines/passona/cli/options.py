"""Options that several verbs have: one spelling and one help text each.

Known to the command line alone. Decorators, to be put above a verb's function.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from passona.monitoring import logs
from passona.monitoring.failure_hook import check_target
from passona.reports.definitions import REPORTS, Report
from passona.warehouse.replacement import Replacement, usual_mode

log = logging.getLogger("passona")

wait = click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for whoever holds the warehouse.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")

marts_only = click.option(
    "--marts-only", is_flag=True, help="Publish the sums of schema analytics alone, no rows of persons."
)


def _metrics(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Replacement | None:
    if path is None:
        return None
    if not path.parent.is_dir():
        raise click.BadParameter(f"the folder does not exist: {path.parent}")
    return Replacement(path.resolve(), usual_mode())


def _on_failure(_context: click.Context, _parameter: click.Parameter, target: str | None) -> str | None:
    if target is not None:
        check_target(target)
    return target


metrics = click.option(
    "--metrics",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_metrics,
    help="Write how it ended there, as OpenMetrics text, put in place whole.",
)
on_failure = click.option(
    "--on-failure",
    metavar="COMMAND|URL",
    callback=_on_failure,
    help="If it fails (exit codes 1 to 6): run this (no shell), the JSON outcome on its input, or POST that there.",
)


def _reports(_context: click.Context, _parameter: click.Parameter, names: Sequence[str]) -> tuple[Report, ...]:
    return tuple(REPORTS[name] for name in dict.fromkeys(names)) or tuple(REPORTS.values())


reports = click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Choice(list(REPORTS)),
    callback=_reports,
    help="Only this report; may be repeated.",
)


def _level(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
    def lower(_context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if wanted:
            log.setLevel(min(level, log.level))

    return lower


def _log_format(_context: click.Context, _parameter: click.Parameter, name: str) -> None:
    if name == "json":
        logs.use_json()


def output_options(verb: Any) -> Any:
    """The options that every verb has, and that may stand before it too."""
    for names, level, text in (
        (("--debug",), logging.DEBUG, "Show where an error came from."),
        (("-v", "--verbose"), logging.INFO, "Say on stderr what is retried and walked again."),
    ):
        verb = click.option(*names, is_flag=True, expose_value=False, callback=_level(level), help=text)(verb)
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        expose_value=False,
        is_eager=True,  # before any other option can be wrong
        callback=_log_format,
        help="What stderr is for: people, or a program that takes one JSON object a line.",
    )(verb)


notify = logs.notify
