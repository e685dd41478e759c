"""A private Postgres server in a temporary folder: started, used, stopped and gone. Installs nothing.

python postgres_server.py COMMAND ...    runs a command with PASSONA_TEST_POSTGRES, the server's address
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

USER, PASSWORD = "passona", "not-a-secret"
VARIABLE = "PASSONA_TEST_POSTGRES"
# As fast as can be, because nothing in it outlives the tests.
FRAIL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


def binaries() -> Path:
    """The folder of initdb and postgres, of the newest version that is installed.

    :raises SystemExit: there is none; says what to install.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for place in [Path(on_path).resolve().parent] if on_path else places:
        if (place / "pg_ctl").exists():
            return place
    sys.exit("no Postgres found (initdb, pg_ctl): install it, such as with apt-get install postgresql")


def owner() -> dict[str, Any]:
    """The user without rights that the server's processes are of, for subprocess: Postgres refuses to run as root."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    sys.exit("Postgres does not run as root, and there is no user postgres or nobody: run this as another user")


@contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """A server on a free port of loopback; gives its address without a database. Ends with the block.

    `durable`: as it is set up where data are to last, for who measures.
    """
    own, programs = owner() | {"cwd": "/"}, binaries()
    # Not in /tmp, which may be memory.
    folder = Path(tempfile.mkdtemp(prefix="passona-postgres-", dir="/var/tmp"))
    try:
        folder.chmod(0o711)
        data, password = folder / "data", folder / "password"
        data.mkdir(mode=0o700)
        password.write_text(PASSWORD)
        password.chmod(0o644)
        if "user" in own:
            os.chown(data, own["user"], own["group"])
        subprocess.run(
            [programs / "initdb", "--pgdata", data, "--username", USER, "--pwfile", password, "--auth", "scram-sha-256",
             "--encoding", "UTF8", "--locale", "C", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, **own,
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1"} | ({} if durable else FRAIL)
        options = " ".join([f"-p {port} -k ''", *(f"-c {name}={value}" for name, value in settings.items())])
        control = [programs / "pg_ctl", "--pgdata", data, "--wait", "--silent"]
        subprocess.run([*control, "--log", data / "log", "--options", options, "start"], check=True, **own)
        try:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "--mode", "immediate", "stop"], check=False, **own)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    with server() as address:
        ended = subprocess.run(sys.argv[1:], check=False, env=os.environ | {VARIABLE: address})
    sys.exit(ended.returncode)
