"""The ways to the API that the environment names: proxies and certificates; and what they must never see."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from passona.config.settings import Settings
from passona.errors import ConfigurationError, RequestFailed
from passona.source.client import Client
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, open_campaign
from support.warehouses import Warehouse

pytestmark = pytest.mark.core

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HOST = "passona.example"
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
BODY = b'{"data": []}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of HOST, and its key in the same file."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", "key.pem", "-out", "only.pem"],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (folder / "both.pem").write_bytes((folder / "only.pem").read_bytes() + (folder / "key.pem").read_bytes())
    digest = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", "only.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (folder / "trusted").mkdir()
    shutil.copy(folder / "only.pem", folder / "trusted" / f"{digest.stdout.decode().strip()}.0")
    return folder


class Proxy:
    """A proxy that answers CONNECT with `status`, and is the server behind itself. `heard`: what came, in clear."""

    def __init__(self, status: bytes = b"200 OK", certificate: Path | None = None) -> None:
        self._status, self._certificate = status, certificate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.heard: list[bytes] = []
        self.asked: list[bytes] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.heard.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 %b\r\n\r\n" % self._status)
            if self._certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self._certificate / "both.pem")
                with context.wrap_socket(connection, server_side=True) as inner:
                    self.asked.append(inner.recv(65_536))
                    inner.sendall(ANSWER)


def client(attempts: int = 1, **settings: object) -> Client:
    options = {"base_url": f"https://{HOST}/api/2.0/", "retry_pause": 0.001} | settings
    return Client(Settings("secret-token", **options), attempts=attempts)  # type: ignore[arg-type]


@needs_openssl
@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_proxy_and_the_certificates_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, variable: str, scheme: str
) -> None:
    monkeypatch.setenv(variable, str(certificate / ("trusted" if variable == "SSL_CERT_DIR" else "only.pem")))
    with Proxy(certificate=certificate) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}user:pass%20word@{proxy.place}")
        with contextlib.closing(client()) as asking:
            assert asking.get("campaigns", 2, 500) == BODY
    (connect,), (asked,) = proxy.heard, proxy.asked
    assert connect.startswith(f"CONNECT {HOST}:443 ".encode())
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n" in connect
    assert b"secret-token" not in connect
    assert asked.startswith(b"GET /api/2.0/campaigns?page=2&per_page=500 HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret-token\r\n" in asked


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_is_refused(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    with Proxy(certificate=certificate) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.place)
        with contextlib.closing(client()) as asking, pytest.raises(RequestFailed, match="certificate verify failed"):
            asking.get("campaigns", 1, None)
    assert proxy.asked == []


@pytest.mark.parametrize("status", [b"403 Forbidden", b"407 Proxy Authentication Required", b"502 447123456789"])
def test_a_proxy_that_refuses_is_named_as_the_one_that_does(monkeypatch: pytest.MonkeyPatch, status: bytes) -> None:
    with Proxy(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:password@{proxy.place}")
        with contextlib.closing(client()) as asking, pytest.raises(RequestFailed) as failed:
            asking.get("campaigns", 1, None)
    number = status[:3].decode()
    assert f"the proxy of HTTPS_PROXY or ALL_PROXY: refuses it with status {number}" in str(failed.value)
    assert "password" not in str(failed.value)
    assert "4471" not in str(failed.value)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with (
        contextlib.closing(client()) as asking,
        pytest.raises(RequestFailed, match="proxy of HTTPS_PROXY or ALL_PROXY: C"),
    ):
        asking.get("campaigns", 1, None)


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_what_is_on_this_machine_is_never_asked_for_by_a_proxy(
    monkeypatch: pytest.MonkeyPatch, scheme: str, host: str
) -> None:
    with Proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.place}")
        monkeypatch.setenv("NO_PROXY", "elsewhere")
        asking = client(base_url=f"{scheme}://{host}:9/api/2.0/")
        with contextlib.closing(asking), pytest.raises(RequestFailed):
            asking.get("campaigns", 1, None)
    assert proxy.heard == []


def test_a_load_from_this_machine_goes_past_every_proxy(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    with Proxy() as proxy:
        address = f"http://{proxy.place}"
        proxies = {"HTTP_PROXY": address, "http_proxy": address, "ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": ""}
        ended = passona("load", box=box, REQUESTS_CA_BUNDLE="/nope.pem", HTTPS_PROXY="http://x:99999", **proxies)
    assert ended.returncode == 0, ended.stderr
    assert proxy.heard == []
    assert warehouse.count("clicks") == 1


@pytest.mark.parametrize(
    "address",
    [
        "socks5://user:password@127.0.0.1:9", "socks5h://127.0.0.1:9", "http://user:password@proxy:99999",
        "http://proxy:port", "http://", "http://:3128", "ftp://proxy:21", "//proxy", "http://[::1", "proxy:99999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_proxy_that_cannot_be_one_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigurationError) as refused:
        client()
    assert "HTTPS_PROXY or ALL_PROXY" in str(refused.value)
    assert "NO_PROXY" in str(refused.value)
    assert "password" not in str(refused.value)
    monkeypatch.setenv("NO_PROXY", HOST)
    client().close()


@pytest.mark.parametrize("variable", VARIABLES)
def test_certificates_that_are_none_are_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "letter.pem").write_text("a letter")
    (tmp_path / "empty.pem").write_text("")
    for place in ("/nope.pem", str(tmp_path / "letter.pem"), str(tmp_path / "empty.pem")):
        monkeypatch.setenv(variable, place)
        with pytest.raises(ConfigurationError) as refused:
            client()
        assert str(refused.value).startswith(f"{variable}: ")
        assert place in str(refused.value)


@pytest.mark.parametrize(
    "environment",
    [{"REQUESTS_CA_BUNDLE": "/nope.pem"}, {"HTTPS_PROXY": "socks5://x:1"}, {"HTTPS_PROXY": "http://x:99999"}],
)
def test_such_an_environment_ends_the_command_with_2(passona: Run, environment: dict[str, str]) -> None:
    found = {"SOURCES__PASSONA__API_TOKEN": "t", "SOURCES__PASSONA__BASE_URL": f"https://{HOST}/api/2.0/"}
    for arguments in (["load"], ["campaigns"], ["generate", ONE], ["doctor"]):
        ended = passona(*arguments, **found, **environment)
        assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
        assert next(iter(environment)) in ended.stderr
