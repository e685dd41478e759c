"""Connections to the API's origin: proxy, certificates, and a deadline for each request.

    with deadline(): ask(method, target) -> response, its body not read yet

requests and urllib3 limit single reads only: a server that sends a byte now and then keeps a read alive, and DNS,
header lines, chunk sizes and proxy answers have no limit at all. One thread therefore watches all requests and shuts
down the socket of each request whose deadline has passed; its reader gets an error or the end of the stream.
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

# Seconds to connect to one address of the server; a name may have several.
CONNECT_SECONDS = 10.0
# Seconds between two pieces of an answer.
READ_SECONDS = 30.0
# The first variable that is set counts.
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXY = "HTTPS_PROXY or ALL_PROXY"
_ADVICE = "correct it, or set NO_PROXY to the host of sources.passona.base_url"


class Transport:
    """The connections to one origin, thread-safe.

    :raises ConfigurationError: the environment names an unusable proxy or unusable certificates.
    """

    def __init__(self, settings: Settings) -> None:
        self._watcher = DeadlineWatcher(settings.request_timeout)
        longest = settings.request_timeout
        self._timeout = Timeout(connect=min(CONNECT_SECONDS, longest), read=min(READ_SECONDS, longest))
        self._session = requests.Session()
        self._session.trust_env = False  # the password of a .netrc would replace the token
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
        self._session.adapters.clear()  # the token goes to this origin only
        self._session.mount(self._root, _adapter_for(self._get, settings))

    def deadline(self) -> contextlib.AbstractContextManager[Deadline]:
        """Give the one request of this block, its body included, `request_timeout` seconds."""
        return self._watcher.deadline()

    def ask(self, method: str, target: str) -> requests.Response:
        """Send a request for `target` below the base address; the body of the response is not read yet.

        Never follows a redirect: it could carry the token elsewhere. A POST closes its connection.

        :raises requests.RequestException: no answer.
        """
        request = copy.copy(self._post if method == "POST" else self._get)
        request.url = self._root + target
        # Not Session.send: its cookies, hooks and redirects take a fifth of the time of a page.
        adapter = self._session.get_adapter(request.url)
        return adapter.send(request, stream=True, timeout=self._timeout)  # type: ignore[arg-type]  # not in the stubs

    def cut(self) -> None:
        """End all requests under way, in every thread, with an error."""
        self._watcher.end_all()

    def close(self) -> None:
        self._watcher.close()
        self._session.close()


def _adapter_for(request: requests.PreparedRequest, settings: Settings) -> _SingleOriginAdapter:
    """Return the adapter for the origin of a request, with the proxy and certificates that the environment names."""
    context = tls_context() if settings.base_url.startswith("https:") else None
    adapter = _SingleOriginAdapter(context, settings.concurrency)
    try:
        adapter.get_connection_with_tls_context(request, True, proxies_for(settings.base_url))
    except InvalidSchema:
        raise ConfigurationError(
            f"{PROXY}: a SOCKS proxy needs PySocks, which is not installed: pip install pysocks; or {_ADVICE}"
        ) from None
    except ValueError as error:  # its text is not quoted: the address of a proxy may hold a password
        raise ConfigurationError(
            f"{PROXY}: expected http://host:port, got what cannot be read as that ({type(error).__name__}); {_ADVICE}"
        ) from None
    return adapter


def proxies_for(address: str) -> dict[str, str]:
    """Return the proxies that the environment names, none for loopback: a proxy would read the token."""
    if urlsplit(address).hostname in LOOPBACK:
        return {}
    proxies = requests.utils.get_environ_proxies(address).items()
    # Without a scheme, requests would take the user name for one.
    return {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in proxies}


class Adapter(HTTPAdapter):
    """A requests adapter whose connections obey the deadline of their thread and trust `context` only."""

    def __init__(self, context: ssl.SSLContext | None, pool_maxsize: int = 1) -> None:
        self._context = context
        super().__init__(pool_maxsize=pool_maxsize)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)
        _use_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy not in self.proxy_manager:
            if not proxy.lower().startswith("socks"):
                options["proxy_ssl_context"] = self._context
            _use_deadlines(super().proxy_manager_for(proxy, ssl_context=self._context, **options))
        return self.proxy_manager[proxy]

    def build_connection_pool_key_attributes(self, *arguments: Any, **options: Any) -> Any:
        host, _ = super().build_connection_pool_key_attributes(*arguments, **options)
        return host, {}

    def cert_verify(self, *_: Any, **_options: Any) -> None:
        """Do nothing: the context verifies; requests would add certifi's certificates to it."""


class _SingleOriginAdapter(Adapter):
    """The adapter of a single origin: caches what requests would derive for every request, a tenth of a page's time."""

    _pool: Any = None

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        self._pool = self._pool or super().get_connection_with_tls_context(*arguments, **options)
        return self._pool

    def request_url(self, request: requests.PreparedRequest, *_: Any) -> str:
        return request.path_url  # a proxy would need the whole address for http, but http never goes through one

    def build_response(self, _: requests.PreparedRequest, answer: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.headers, response.raw = answer.status, answer.headers, answer
        return response  # without cookies

    def close(self) -> None:
        super().close()
        self._pool.close()  # a manager only forgets it


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts the certificates named by the environment, or else Mozilla's (certifi).

    :raises ConfigurationError: a variable names a place without certificates.
    """
    name = next((name for name in _CERTIFICATES if os.environ.get(name)), "")
    place = os.environ.get(name) or requests.utils.DEFAULT_CA_BUNDLE_PATH
    # Not ssl.create_default_context: it writes session keys to the file that SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    is_folder = Path(place).is_dir()
    try:
        context.load_verify_locations(cafile=None if is_folder else place, capath=place if is_folder else None)
    except OSError as error:
        raise ConfigurationError(
            f"{name or 'certifi'}: expected a file or a folder of certificates (PEM), got {place} "
            f"({error.strerror or type(error).__name__}); correct it or unset it"
        ) from None
    return context


class Deadline:
    """The deadline of one request.

    `until`: on the monotonic clock; may be moved. `ended`: it has passed, or the run is over. `connected`: there was
    a connection, so the request may have been sent.
    """

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.ended = self.connected = False
        self._lock = threading.Lock()
        self._actions: list[Callable[[], object]] = []

    def on_end(self, action: Callable[[], object]) -> None:
        """Call `action` when the deadline passes, in any thread; at once if it has passed."""
        with self._lock:
            if not self.ended:
                self._actions.append(action)
                return
        action()

    def end(self) -> None:
        with self._lock:
            self.ended = True
            actions, self._actions = self._actions, []
        for action in actions:
            action()


_deadline: ContextVar[Deadline] = ContextVar("deadline")


class DeadlineWatcher:
    """The deadlines of all requests under way, `seconds` from their start, and the thread that enforces them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._under_way: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._stopped = self._closed = False

    @contextlib.contextmanager
    def deadline(self) -> Iterator[Deadline]:
        deadline = Deadline(self._seconds)
        _deadline.set(deadline)
        with self._changed:
            self._under_way.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="request deadlines", daemon=True)
                self._thread.start()
        if self._stopped:
            deadline.end()
        try:
            yield deadline
        finally:
            with self._changed:
                self._under_way.remove(deadline)

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                over = [deadline for deadline in self._under_way if deadline.until <= now and not deadline.ended]
                if not over:
                    # A request that begins meanwhile ends later than this.
                    waits = (deadline.until - now for deadline in self._under_way if not deadline.ended)
                    self._changed.wait(min(waits, default=self._seconds))
            for deadline in over:
                deadline.end()

    def end_all(self) -> None:
        """End all requests under way and all that begin from now on."""
        with self._changed:
            self._stopped = True
            under_way = list(self._under_way)
        for deadline in under_way:
            deadline.end()

    def close(self) -> None:
        """End the watching thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()


class _DeadlineConnection(HTTPConnection):
    """A connection whose requests obey the deadline of the thread that makes them."""

    def connect(self) -> None:
        """Connect in a thread of its own, because a DNS lookup cannot be interrupted."""
        deadline, connect = _deadline.get(), super().connect
        result: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def attempt() -> None:
            try:
                connect()
            except BaseException as error:  # noqa: BLE001  # raised again in the waiting thread
                result.put(error)
            else:
                result.put(None)
            if deadline.ended:
                self.close()

        def give_up() -> None:
            result.put(TimeoutError())
            _shut_down(self.sock)  # a proxy's answer may drip, too

        deadline.on_end(give_up)
        threading.Thread(target=attempt, name="connect", daemon=True).start()
        if (error := result.get()) is not None:
            raise error
        self._obey(deadline)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:  # a connection that was used before
            self._obey(_deadline.get())
        super().request(*arguments, **options)

    def _obey(self, deadline: Deadline) -> None:
        sock, deadline.connected = self.sock, True  # the connection may drop its socket while an answer is read
        deadline.on_end(lambda: _shut_down(sock))


def _use_deadlines(manager: Any) -> None:
    """Make the pools of a manager use connections with deadlines, of their own kind: plain, TLS, SOCKS."""
    manager.pool_classes_by_scheme = {
        scheme: type(
            pool.__name__,
            (pool,),
            {"ConnectionCls": type("_DeadlineConnection", (_DeadlineConnection, pool.ConnectionCls), {})},
        )
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _shut_down(sock: Any) -> None:
    """End all reads from a socket, in every thread."""
    plain = getattr(sock, "socket", sock)  # TLS inside a proxy's TLS
    if isinstance(plain, socket.socket):
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown: it drops the TLS state that another thread reads with.
            socket.socket.shutdown(plain, socket.SHUT_RDWR)
