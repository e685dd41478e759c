"""Reports by mail: POST -> a .csv at a link, and a mail with that link.

The guide: "run a task on the server and send an email to the email address associated to your user, with a
link to the desired report as a .csv file"; its headers are the keys of the JSON. The link needs no token.
"""

import csv
import io
import secrets
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from email.utils import formatdate
from pathlib import Path
from threading import Lock

from passona_sandbox.edits import View
from passona_sandbox.reports import KEYS
from passona_sandbox.wire import Response

ROOT = "exports/"
_TO = "you@example.org"
_WHOLE_LINES = default.clone(max_line_length=998)  # SMTP's own bound: a link stays in one piece


class Mailroom:
    """The exports by path, thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._exports: dict[str, Response] = {}

    def make(self, campaign: str, report: str, view: View, origin: str, folder: str) -> None:
        """Keep a report as it is now; write a mail with its link if there is a mail folder."""
        path = f"{ROOT}{secrets.token_hex(16)}/{report}.csv"
        headers = {
            "Last-Modified": formatdate(usegmt=True),
            "Content-Disposition": f'attachment; filename="{report}.csv"',
        }
        with self._lock:
            self._exports[path] = Response(200, render(report, view), "text/csv", headers)
            number = len(self._exports)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            mail = _mail(campaign, report, f"{origin}/{path}")
            (Path(folder) / f"{number:04}-{report}-{campaign}.eml").write_bytes(bytes(mail))

    def fetch(self, path: str) -> Response | None:
        export = self._exports.get(path)
        return export and replace(export, headers={**export.headers})


def render(report: str, view: View) -> bytes:
    """Return a report as .csv: null is empty, numbers are digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    keys = KEYS[report]
    writer.writerow(keys)
    writer.writerows([row.get(key) for key in keys] for row in view.rows())
    return text.getvalue().encode()


def _mail(campaign: str, report: str, link: str) -> EmailMessage:
    mail = EmailMessage(policy=_WHOLE_LINES)
    mail["From"], mail["To"] = "Passona <reports@example.org>", _TO
    mail["Subject"] = f"Your {report} report is ready"
    mail["Date"] = formatdate(usegmt=True)
    mail.set_content(f"The {report} report of campaign {campaign} is ready:\n\n{link}\n")
    return mail
