"""Reports by mail: POST -> a .csv under a link, and a mail that tells it.

The guide: "run a task on the server and send an email to the email address associated to your user, with a
link to the desired report as a .csv file"; its headers are the keys of the JSON. How the file is encoded,
quoted and ended is documented nowhere, so switches say it. The link needs no token: who has it, has the file.
"""

from __future__ import annotations

import csv
import io
import secrets
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from email.utils import formatdate
from pathlib import Path
from threading import Lock
from time import time

from passona_sandbox.reports import KEYS
from passona_sandbox.switches import Switches
from passona_sandbox.view import View
from passona_sandbox.wire import Response

ROOT = "exports/"
_TO = "you@example.org"
_WHOLE_LINES = default.clone(max_line_length=998)  # SMTP's own bound: a link stays in one piece


@dataclass(frozen=True)
class Export:
    """One report as it was when it was asked for; its bytes are made when they are fetched."""

    report: str
    view: View
    made: float

    def response(self, switches: Switches) -> Response:
        """The file, in the form that the switches say."""
        headers = {
            "Last-Modified": formatdate(self.made, usegmt=True),
            "Content-Disposition": f'attachment; filename="{self.report}.csv"',
        }
        return Response(200, render(self.report, self.view, switches), "text/csv", headers)


class Mailroom:
    """What was made, by its address; any thread may ask."""

    def __init__(self) -> None:
        """Begin with nothing made."""
        self._lock = Lock()
        self._exports: dict[str, Export] = {}

    def make(self, campaign: str, report: str, view: View, origin: str, switches: Switches) -> None:
        """Keep a report as it is now, and drop a mail with its link, if there is a folder for mails."""
        path = f"{ROOT}{secrets.token_hex(16)}/{report}.csv"
        with self._lock:
            self._exports[path] = Export(report, view, time())
            number = len(self._exports)
        if switches.mail_folder:
            folder = Path(switches.mail_folder)
            folder.mkdir(parents=True, exist_ok=True)
            mail = _mail(campaign, report, f"{origin}/{path}")
            (folder / f"{number:04}-{report}-{campaign}.eml").write_bytes(bytes(mail))

    def fetch(self, path: str, switches: Switches) -> Response | None:
        """The file under an address, None if there is none."""
        with self._lock:
            export = self._exports.get(path)
        return export.response(switches) if export else None


def render(report: str, view: View, switches: Switches) -> bytes:
    """Write a report as .csv: null is nothing, numbers are digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=switches.csv_delimiter, lineterminator=switches.csv_line_end)
    keys = KEYS[report]
    writer.writerow(keys)
    writer.writerows([row.get(key) for key in keys] for row in view.rows())
    return text.getvalue().encode(switches.csv_encoding, errors="replace")


def _mail(campaign: str, report: str, link: str) -> EmailMessage:
    mail = EmailMessage(policy=_WHOLE_LINES)
    mail["From"], mail["To"] = "Passona <reports@example.org>", _TO
    mail["Subject"] = f"Your {report} report is ready"
    mail["Date"] = formatdate(usegmt=True)
    mail.set_content(f"The {report} report of campaign {campaign} is ready:\n\n{link}\n")
    return mail
