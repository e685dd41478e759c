"""`passona report`: one page of figures and pictures, from the marts. Changes nothing but that file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from passona.analytics._figures import Figures, read_figures
from passona.analytics._html_page import page
from passona.config.address import Address, exists
from passona.errors import ConfigurationError
from passona.warehouse.database import open_reader


def write_report(
    warehouse: Address, out: Path, campaign: str | None, wait: float, notify: Callable[[str], None]
) -> Figures:
    """Writes the page; whoever reads `out` finds the old one or the new one, and never a half.

    :raises ConfigurationError: no warehouse, no marts, no such campaign, no such folder.
    :raises Busy: the warehouse is being written.
    """
    if not out.parent.is_dir():
        raise ConfigurationError(f"the folder of the report does not exist: {out.parent}; make it first")
    if not exists(warehouse):
        raise ConfigurationError(f"there is no warehouse at {warehouse}: run passona load, then passona transform")
    with closing(open_reader(warehouse, wait, notify)) as connection:
        figures = read_figures(connection, campaign)
    _replace(out, page(figures, datetime.now(UTC)))
    return figures


def _replace(out: Path, text: str) -> None:
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(out)
    except OSError as error:
        raise ConfigurationError(f"the report cannot be written: {error.strerror}: {out}") from error
    finally:
        part.unlink(missing_ok=True)
