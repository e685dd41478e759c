"""The sandbox as a server on loopback: one thread accepts, one thread per connection answers. `run` is its process."""

import contextlib
import json
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from pathlib import Path
from threading import Event, Thread
from typing import Self

from passona_sandbox.account import Account
from passona_sandbox.clock import LONDON, Zone
from passona_sandbox.desk import ROOT, Desk
from passona_sandbox.faults import Fault, Faults
from passona_sandbox.journal import Record
from passona_sandbox.live import LiveAccount
from passona_sandbox.switches import Switches
from passona_sandbox.wire import read, send

LOOPBACK = "127.0.0.1"
_WAITING = 128  # connections that may wait to be accepted


class Sandbox:
    """A local Passona; `with Sandbox(account) as box:` serves it, and ends all connections at the end."""

    def __init__(
        self,
        account: Account | None = None,
        switches: Switches | None = None,
        *,
        faults: Iterable[Mapping[str, object]] = (),
        port: int = 0,
    ) -> None:
        """Port 0 is any free port."""
        self.account = Account() if account is None else account
        self._desk = Desk(self.account, switches or Switches())
        self.faults = faults
        self._port, self._stopped = port, Event()
        self._serving: list[tuple[socket.socket, Thread]] = []

    @property
    def base_url(self) -> str:
        """The address of the API, with a slash at the end; known after the start."""
        return f"{self._desk.origin}/{ROOT}"

    @property
    def token(self) -> str:
        return self.switches.token

    @property
    def switches(self) -> Switches:
        """A new value holds from the next request."""
        return self._desk.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._desk.switches = switches

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The fault rules with their counts; a new list replaces them and resets the counts."""
        return self._desk.faults.rules

    @faults.setter
    def faults(self, rules: Iterable[Mapping[str, object]]) -> None:
        self._desk.faults = Faults(rules)

    @property
    def requests(self) -> list[Record]:
        return self._desk.journal.records()

    def forget_requests(self) -> None:
        self._desk.journal.forget()

    def start(self) -> None:
        """Start serving; OSError if the port is taken."""
        self._stopped.clear()
        self._listener = socket.create_server((LOOPBACK, self._port), backlog=_WAITING)
        self._desk.origin = "http://{}:{}".format(*self._listener.getsockname())
        self._acceptor = Thread(target=self._accept, name="sandbox", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Stop at once: cut off answers under way, free the port, end all threads."""
        self._stopped.set()
        with contextlib.suppress(OSError):  # wakes the acceptor, on every platform
            socket.create_connection(self._listener.getsockname()).close()
        self._acceptor.join()
        for connection, thread in self._serving:
            with contextlib.suppress(OSError):  # it may have ended by itself
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        with self._listener as listener:
            while True:
                connection, _ = listener.accept()
                if self._stopped.is_set():
                    connection.close()
                    return
                thread = Thread(target=self._serve, args=(connection,), name="sandbox", daemon=True)
                thread.start()
                # Only a thread that has ended is dropped, so that `stop` joins every other one.
                self._serving = [pair for pair in self._serving if pair[1].is_alive()]
                self._serving.append((connection, thread))

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in read(connection):
                with self._desk.answering(request) as response:
                    response.headers.setdefault("Date", formatdate(self.account.clock(), usegmt=True))
                    if not send(connection, response, self._stopped):
                        break
        except (OSError, ValueError):
            pass  # the client left, or does not speak HTTP
        finally:
            connection.close()


def run(
    *,
    port: int = 0,
    campaigns: int = 5,
    rows: int = 10_000,
    seed: int = 1,
    hostile: bool = False,
    zone: Zone = LONDON,
    live: bool = False,
    faults: Path | None = None,
    switches: Switches | None = None,
) -> None:
    """Serve a made-up account until SIGTERM or SIGINT; print its address as one line on standard output.

    `live`: the account changes with time. `faults`: a JSON file with a list of rules. Call it from the main thread,
    which receives signals.

    :raises ValueError: a rule is invalid.
    :raises OSError: the port is taken, or the file cannot be read.
    """
    rules = json.loads(faults.read_text(encoding="utf-8")) if faults else []
    make_account = LiveAccount if live else Account
    account = make_account(seed=seed, campaigns=campaigns, rows=rows, hostile=hostile, zone=zone)
    stopped = Event()
    handlers = {name: signal.signal(name, lambda *_: stopped.set()) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        with Sandbox(account, switches, faults=rules, port=port) as box:
            sys.stdout.write(f"{box.base_url}\n")
            sys.stdout.flush()
            stopped.wait()
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
