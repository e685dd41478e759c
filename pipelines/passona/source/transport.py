"""Connections to the API's origin: by which proxy, trusting which certificates, and with an end to every wait.

    limited() -> ask(method, target) -> answer, its body not read yet

A server that sends a byte now and then keeps each read alive, and some waits have no limit of their own: for a name
server, for the lines of a header, a chunk's size, a proxy's answer. requests and urllib3 bound single reads alone, so
one thread watches over all requests, and shuts the socket of each that takes longer than it may; whoever reads from it
gets an error or the end of the stream.
"""

from __future__ import annotations

import contextlib
import copy
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.utils
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection
from urllib3.util import Timeout

from passona.config.settings import LOOPBACK, Settings
from passona.errors import ConfigurationError

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
        self._limits = Limits(settings.request_timeout)
        most = settings.request_timeout
        self._timeout = Timeout(connect=min(CONNECT_SECONDS, most), read=min(READ_SECONDS, most))
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would put its password in the token's place
        self._session.headers = CaseInsensitiveDict(
            {
                "User-Agent": f"passona-warehouse/{version('passona-warehouse')}",
                "Accept": "application/json",
                "Accept-Encoding": requests.utils.DEFAULT_ACCEPT_ENCODING,
                "Content-Type": "application/json",
                "Authorization": f"Bearer {settings.api_token}",
            }
        )
        self._get, self._post = (
            self._session.prepare_request(requests.Request(method, settings.base_url, headers))
            for method, headers in (("GET", {}), ("POST", {"Connection": "close"}))
        )
        self._root = str(self._get.url)
        self._session.adapters.clear()  # the token goes nowhere else
        self._session.mount(self._root, _connected(self._get, settings))

    def limited(self) -> contextlib.AbstractContextManager[Limit]:
        """Bound one request, which is to be made in this block, by `request_timeout`, its body included."""
        return self._limits.limited()

    def ask(self, method: str, target: str) -> requests.Response:
        """The answer, its body not read yet, to a request of `target` below the base address.

        Redirects are never followed: they could carry the token elsewhere. A POST closes its connection.

        :raises requests.RequestException: there is none.
        """
        request = copy.copy(self._post if method == "POST" else self._get)
        request.url = self._root + target
        # Not Session.send: it looks for cookies, hooks and redirects, which takes a fifth of the time of a page.
        adapter = self._session.get_adapter(request.url)
        return adapter.send(request, stream=True, timeout=self._timeout)  # type: ignore[arg-type]  # not in the stubs

    def cut(self) -> None:
        """End all requests that are under way, in any thread, each with an error."""
        self._limits.end_all()

    def close(self) -> None:
        self._limits.close()
        self._session.close()


def _connected(request: requests.PreparedRequest, settings: Settings) -> _OneOrigin:
    """The adapter to the origin of this request, with the proxy and the certificates that the environment names."""
    context = trusted() if settings.base_url.startswith("https:") else None
    adapter = _OneOrigin(context, pool_maxsize=settings.concurrency)
    proxies = proxies_for(settings.base_url)
    try:
        adapter.get_connection_with_tls_context(request, True, proxies)
    except InvalidSchema:
        raise ConfigurationError(
            f"{PROXY}: a SOCKS proxy needs PySocks, which is not installed: pip install pysocks; or {_ADVICE}"
        ) from None
    except ValueError as error:  # without its words: a proxy's address may hold a password
        raise ConfigurationError(
            f"{PROXY}: expected http://host:port, got what cannot be read as that ({type(error).__name__}); {_ADVICE}"
        ) from None
    return adapter


def proxies_for(address: str) -> dict[str, str]:
    """The proxies that the environment names. What is on this machine is never asked for by one: it would read it."""
    if urlsplit(address).hostname in LOOPBACK:
        return {}
    proxies = requests.utils.get_environ_proxies(address).items()
    # requests takes the name of a user for a scheme where there is none.
    return {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in proxies}


class Adapter(HTTPAdapter):
    """Connections whose requests are under the limit of their thread, and that trust `context` alone."""

    def __init__(self, context: ssl.SSLContext | None, **options: Any) -> None:
        self._context = context
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)
        _limit_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy not in self.proxy_manager:
            if not proxy.lower().startswith("socks"):
                options["proxy_ssl_context"] = self._context
            _limit_connections(super().proxy_manager_for(proxy, ssl_context=self._context, **options))
        return self.proxy_manager[proxy]

    def build_connection_pool_key_attributes(self, *arguments: Any, **options: Any) -> Any:
        host, _ = super().build_connection_pool_key_attributes(*arguments, **options)
        return host, {}

    def cert_verify(self, *_: Any, **_options: Any) -> None:
        """Nothing: the context verifies, and requests would have it trust certifi's, too."""


class _OneOrigin(Adapter):
    """For a single origin: what requests finds out for every request, at a tenth of the time of a page, is known."""

    _pool: Any = None

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        self._pool = self._pool or super().get_connection_with_tls_context(*arguments, **options)
        return self._pool

    def request_url(self, request: requests.PreparedRequest, *_: Any) -> str:
        return request.path_url  # a proxy would want more for http, which goes by none

    def build_response(self, _: requests.PreparedRequest, answer: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.headers, response.raw = answer.status, answer.headers, answer
        return response  # without cookies

    def close(self) -> None:
        super().close()
        self._pool.close()  # a manager only forgets it


def trusted() -> ssl.SSLContext:
    """Return what trusts the user's own certificates, or else Mozilla's (certifi).

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
    return context


class Limit:
    """The time that one request may take.

    `until`: its end, which may be put off. `ended`: whether it, or the run, is over. `connected`: whether there was a
    connection, by which the request may have been sent.
    """

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.ended = self.connected = False
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


_limit: ContextVar[Limit] = ContextVar("limit")


class Limits:
    """The limits of all requests under way, `seconds` for each, and the thread that ends them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._under_way: set[Limit] = set()
        self._thread: threading.Thread | None = None
        self._stopped = self._closed = False

    @contextlib.contextmanager
    def limited(self) -> Iterator[Limit]:
        limit = Limit(self._seconds)
        _limit.set(limit)
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


class _Limited(HTTPConnection):
    """A connection whose requests are under the limit of the thread that makes them."""

    def connect(self) -> None:
        """Connect in a thread of its own: a wait for a name server can be ended by nobody."""
        limit, connect = _limit.get(), super().connect
        result: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def attempt() -> None:
            try:
                connect()
            except BaseException as raised:  # noqa: BLE001  # raised again where it is waited for
                result.put(raised)
            else:
                result.put(None)
            if limit.ended:
                self.close()

        def give_up() -> None:
            result.put(TimeoutError())
            _shut(self.sock)  # a proxy's answer may drip, too

        limit.on_end(give_up)
        threading.Thread(target=attempt, name="connect", daemon=True).start()
        raised = result.get()
        if raised is not None:
            raise raised
        self._limit_to(limit)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:  # it was used before
            self._limit_to(_limit.get())
        super().request(*arguments, **options)

    def _limit_to(self, limit: Limit) -> None:
        made, limit.connected = self.sock, True  # the connection may let go of it while an answer is read
        limit.on_end(lambda: _shut(made))


def _limit_connections(manager: Any) -> None:
    """Have a manager's pools make such connections, of whatever kind they are: plain, TLS, SOCKS."""
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": type("_Limited", (_Limited, pool.ConnectionCls), {})})
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _shut(made: Any) -> None:
    """End all reads from a socket, in whatever thread."""
    below = getattr(made, "socket", made)  # TLS within a proxy's TLS
    if isinstance(below, socket.socket):
        with contextlib.suppress(OSError):
            # Not TLS's own shutdown, which takes the state away that another thread reads with.
            socket.socket.shutdown(below, socket.SHUT_RDWR)
