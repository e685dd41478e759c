"""Connections to the API's origin: by which proxy, trusting which certificates, and with an end to every wait.

    limited() -> ask(method, target) -> answer, its body not read yet

A server that sends a byte now and then keeps each read alive, and some waits have no limit of their own: for a name
server, for the lines of a header, a chunk's size, a proxy's answer. So one thread watches over all requests, and shuts
the socket of each that takes longer than it may; whoever reads from it gets an error or the end of the stream.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests.utils
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3.exceptions import ConnectTimeoutError
from urllib3.exceptions import HTTPError as WireError
from urllib3.util import make_headers, parse_url

from passona.errors import ConfigurationError
from passona.settings import LOOPBACK, Settings

# To one address of the server; names may stand for several.
CONNECT_SECONDS = 10.0
# Between two pieces of an answer.
READ_SECONDS = 30.0
# The first that is set counts.
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXY = "HTTPS_PROXY or ALL_PROXY"
_ADVICE = "correct it, or set NO_PROXY to the host of sources.passona.base_url"


class Transport:
    """The connections to one origin. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        """Settle what does not change from request to request.

        :raises ConfigurationError: the environment names a proxy or certificates that cannot be used.
        """
        self._seconds = settings.request_timeout
        self._limits = Limits(settings.request_timeout)
        parts = urlsplit(settings.base_url)
        self._root = parts.path
        self._pool = _manager(settings).connection_from_host(parts.hostname, parts.port, parts.scheme)
        self._pool.ConnectionCls = self._limits.watched(self._pool.ConnectionCls)
        self._headers = {
            **make_headers(accept_encoding=True, user_agent=f"passona-warehouse/{version('passona-warehouse')}"),
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {settings.api_token}",
        }
        read = min(READ_SECONDS, settings.request_timeout)
        self._timeout = Timeout(connect=min(CONNECT_SECONDS, settings.request_timeout), read=read)

    def limited(self) -> contextlib.AbstractContextManager[Limit]:
        """Bound one request, which is to be made in this block, by `request_timeout`, its body included."""
        return self._limits.limited()

    def ask(self, method: str, target: str) -> BaseHTTPResponse:
        """The answer, its body not read yet, to a request of `target` below the base address.

        Redirects are never followed: they could carry the token elsewhere. A POST closes its connection.
        """
        answer: BaseHTTPResponse = self._pool.urlopen(
            method,
            self._root + target,
            headers=self._headers | ({"Connection": "close"} if method == "POST" else {}),
            redirect=False,
            retries=False,
            assert_same_host=False,  # with a proxy the pool's host is the proxy's
            timeout=self._timeout,
            preload_content=False,
            decode_content=False,
        )
        return answer

    def cut(self) -> None:
        """End all requests that are under way, in any thread, each with an error."""
        self._limits.end_all()

    def close(self) -> None:
        self._limits.close()
        self._pool.close()


def _manager(settings: Settings) -> Any:
    """What makes pools of connections, with the proxy and the certificates that the environment names.

    http is for loopback alone, and what is on this machine is never asked for by a proxy: it would read the token.
    """
    parts = urlsplit(settings.base_url)
    options: dict[str, Any] = {"maxsize": settings.concurrency}
    if parts.scheme == "https":
        _, options["ssl_context"] = trusted()
    proxies = requests.utils.get_environ_proxies(settings.base_url)
    proxy = None if parts.hostname in LOOPBACK else requests.utils.select_proxy(settings.base_url, proxies)
    if proxy is None:
        return PoolManager(**options)
    try:
        return _by_proxy(proxy if "://" in proxy else f"http://{proxy}", options)
    except (WireError, ValueError) as error:  # without its words: a proxy's address may hold a password
        raise ConfigurationError(
            f"{PROXY}: expected http://host:port, got what cannot be read as that ({type(error).__name__}); {_ADVICE}"
        ) from None


def _by_proxy(address: str, options: dict[str, Any]) -> Any:
    if address.lower().startswith("socks"):
        if importlib.util.find_spec("socks") is None:
            raise ConfigurationError(
                f"{PROXY}: a SOCKS proxy needs PySocks, which is not installed: pip install pysocks; or {_ADVICE}"
            )
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(address, **options)
    if not parse_url(address).host:
        raise ValueError("no host")
    user, password = requests.utils.get_auth_from_url(address)
    headers = make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
    return ProxyManager(address, proxy_headers=headers, proxy_ssl_context=options["ssl_context"], **options)


def trusted() -> tuple[str, ssl.SSLContext]:
    """Return the file or folder of certificates to trust, and these: the user's own, or else Mozilla's (certifi).

    :raises ConfigurationError: a variable names what holds none.
    """
    name = next((name for name in _CERTIFICATES if os.environ.get(name)), "")
    place = os.environ.get(name) or requests.utils.DEFAULT_CA_BUNDLE_PATH
    # Not ssl's default context: it writes the keys of connections where a variable of somebody else says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    folder = Path(place).is_dir()
    try:
        context.load_verify_locations(cafile=None if folder else place, capath=place if folder else None)
    except OSError as error:
        raise ConfigurationError(
            f"{name or 'certifi'}: expected a file or a folder of certificates (PEM), got {place} "
            f"({error.strerror or type(error).__name__}); correct it or unset it"
        ) from None
    return place, context


class _FinalAnswer(http.client.HTTPResponse):
    """An answer behind all that only announce it: of 1xx, http.client skips 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        protocol, status, reason = super()._read_status()  # type: ignore[misc]  # not in the stubs
        return protocol, 100 if 100 <= status < 200 else status, reason


class Limit:
    """The time that one request may take. `until`: its end, which may be put off. `ended`: whether it, or the run, is
    over.
    """

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.ended = False
        self._lock = threading.Lock()
        self._on_end: list[Callable[[], object]] = []

    def on_end(self, action: Callable[[], object]) -> None:
        """Do this when the time is over, from any thread; at once if it is."""
        with self._lock:
            if not self.ended:
                self._on_end.append(action)
                return
        action()

    def end(self) -> None:
        with self._lock:
            self.ended = True
            actions, self._on_end = self._on_end, []
        for action in actions:
            action()


class Limits:
    """The limits of all requests under way, `seconds` for each, and the thread that ends them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._here = threading.local()
        self._changed = threading.Condition()
        self._under_way: set[Limit] = set()
        self._thread: threading.Thread | None = None
        self._stopped = self._closed = False

    @contextlib.contextmanager
    def limited(self) -> Iterator[Limit]:
        limit = self._here.limit = Limit(self._seconds)
        with self._changed:
            self._under_way.add(limit)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="request limits", daemon=True)
                self._thread.start()
        if self._stopped:
            limit.end()
        try:
            yield limit
        finally:
            with self._changed:
                self._under_way.remove(limit)

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                over = [limit for limit in self._under_way if limit.until <= now and not limit.ended]
                if not over:
                    # What begins meanwhile ends later than this.
                    left = (limit.until - now for limit in self._under_way if not limit.ended)
                    self._changed.wait(min(left, default=self._seconds))
            for limit in over:
                limit.end()

    def end_all(self) -> None:
        """End those under way, and whatever begins from now on."""
        with self._changed:
            self._stopped = True
            limits = list(self._under_way)
        for limit in limits:
            limit.end()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def watched(self, kind: Any) -> Any:
        """The class of connections `kind`, but that its requests are under the limit of the thread that makes them."""
        here = self._here

        class Watched(kind):  # type: ignore[misc]  # any class
            response_class = _FinalAnswer

            def connect(self) -> None:
                """Connect in a thread of its own: a wait for a name server can be ended by nobody."""
                limit: Limit = here.limit
                result: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
                error = ConnectTimeoutError(self, "no connection within the time of the request")

                def attempt() -> None:
                    try:
                        kind.connect(self)
                    except BaseException as raised:  # noqa: BLE001  # raised again where it is waited for
                        result.put(raised)
                    else:
                        result.put(None)
                    if limit.ended:
                        self.close()

                def give_up() -> None:
                    result.put(error)
                    _shut(self.sock)  # a proxy's answer may drip, too

                limit.on_end(give_up)
                threading.Thread(target=attempt, name="connect", daemon=True).start()
                raised = result.get()
                if raised is not None:
                    raise raised
                _shut_at(limit, self.sock)

            def request(self, *args: Any, **kwargs: Any) -> None:
                if self.sock is not None:  # it was used before
                    _shut_at(here.limit, self.sock)
                kind.request(self, *args, **kwargs)

        return Watched


def _shut_at(limit: Limit, made: Any) -> None:
    limit.on_end(lambda: _shut(made))


def _shut(made: Any) -> None:
    """End all reads from a socket, in whatever thread."""
    below = getattr(made, "socket", made)  # TLS within a proxy's TLS
    if isinstance(below, socket.socket):
        with contextlib.suppress(OSError):
            # Not TLS's own shutdown, which takes the state away that another thread reads with.
            socket.socket.shutdown(below, socket.SHUT_RDWR)
