"""Download a mailed link.

No token, cookie or .netrc entry is sent. Redirects are followed, but to http only on loopback. The link itself is a
secret: messages show only its host.
"""

import contextlib
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from passona.config.settings import LOOPBACK
from passona.errors import ConfigurationError, RequestFailed
from passona.source.pace import http_date
from passona.source.transport import Adapter, DeadlineWatcher, proxies_for, tls_context

CONNECT_SECONDS = 10.0
# Until the headers are complete.
ANSWER_SECONDS = 120.0
# Between two pieces.
READ_SECONDS = 60.0
# For the whole file. A report of 5,000,000 rows is a gigabyte, a quarter of an hour on a slow line.
LONGEST_SECONDS = 4 * 3600.0
MOST_REDIRECTS = 10
PIECE_BYTES = 1024 * 1024


def download(address: str, to: Path) -> datetime | None:
    """Download a file to the empty file `to`. Return its Last-Modified in UTC, None if the server sends none.

    :raises ConfigurationError: this is no https address, or there are no trusted certificates.
    :raises RequestFailed: the download failed or was incomplete.
    """
    try:
        host = urlsplit(address).hostname
    except ValueError:  # half an IPv6 address
        raise ConfigurationError("expected an https address, got one that cannot be read") from None
    try:
        with (
            contextlib.closing(DeadlineWatcher(ANSWER_SECONDS)) as watcher,
            watcher.deadline() as deadline,
            _answer(address) as answer,
            to.open("wb") as file,
        ):
            deadline.until = time.monotonic() + LONGEST_SECONDS
            for piece in answer.iter_content(PIECE_BYTES):
                file.write(piece)
            if deadline.ended:  # the time limit cut the body short
                raise requests.Timeout
            return http_date(answer.headers.get("Last-Modified"))
    except (requests.RequestException, ValueError) as error:  # ValueError: an invalid redirect
        why = "it did not come in time" if deadline.ended else type(error).__name__
        raise RequestFailed(f"{host}: the download failed ({why}); nothing of it is loaded, run again") from None


def _answer(address: str) -> requests.Response:
    """Follow redirects to a response of status 200. Its body is not read yet."""
    with requests.Session() as session:
        session.trust_env = False
        adapter = Adapter(tls_context())
        for scheme in ("https://", "http://"):
            session.mount(scheme, adapter)
        for _ in range(MOST_REDIRECTS):
            parts = urlsplit(address)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
                raise ConfigurationError(f"{parts.hostname}: expected an https address, got {parts.scheme}")
            answer = session.get(
                address,
                auth=lambda request: request,  # ignore credentials in the address, too
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                proxies=proxies_for(address),
            )
            if answer.status_code == 200:
                return answer
            answer.close()
            session.cookies.clear()
            if not answer.is_redirect:
                raise RequestFailed(f"{parts.hostname}: status {answer.status_code}; mailed links expire")
            address = urljoin(address, answer.headers["Location"])
    raise RequestFailed(f"{urlsplit(address).hostname}: more than {MOST_REDIRECTS} redirects")
