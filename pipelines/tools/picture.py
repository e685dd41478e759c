"""`make picture`: render the report of the demo's data to docs/report.png with a headless Chromium.

Chromium is controlled through a pipe with its DevTools protocol, so nothing else is needed (CHROMIUM names it if it is
not on the path). Tests use it, too: it returns the requests, errors and text of a page.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo_data import build_demo
from passona.analytics.html_report import write_report

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
PICTURE = Path(__file__).parents[2] / "docs/report.png"
# Height of the picture in CSS pixels.
HEIGHT = 1486


def chromium_path() -> str | None:
    """Return the path of Chromium, or None."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser"))), None)


@dataclass
class Seen:
    """What a page did and showed. `requests`: addresses requested, other than the page's own."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    overflow: int = 0
    charts: int = 0
    text: str = ""
    picture: bytes = b""


class Chromium:
    """A Chromium with a new profile, for the time of the block."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._events: list[dict[str, Any]] = []
        self._number = 0
        self._buffer = b""

    def __enter__(self) -> Self:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        child_in, our_out = os.pipe()
        our_in, child_out = os.pipe()
        # Chromium reads commands from 3 and writes answers to 4; the shell sets these descriptors.
        script = f'exec "$@" 3<&{child_in} 4>&{child_out}'
        self._process = subprocess.Popen(  # noqa: S603  # the program is the user's own choice
            ["bash", "-c", script, "bash", self._path, *FLAGS, f"--user-data-dir={self._profile}"],  # noqa: S607  # wherever bash is
            pass_fds=(child_in, child_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(child_in)
        os.close(child_out)
        self._out, self._in = our_out, our_in
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            os.close(self._out)
            os.close(self._in)
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._profile, ignore_errors=True)

    def look(
        self, page: Path, *, width: int = 1280, dark: bool = False, javascript: bool = True, height: int = 0
    ) -> Seen:
        """Open the page at this width, in CSS pixels, and take a picture; `height` 0: of the whole page."""
        self._events.clear()
        self.call("Emulation.setScriptExecutionDisabled", {"value": not javascript})
        self._resize(width, 800)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"media": "screen", "features": [scheme]})
        address = page.absolute().as_uri()
        self.call("Page.navigate", {"url": address})
        self._wait_for("Page.loadEventFired")
        seen = Seen(
            overflow=self._value("document.documentElement.scrollWidth") - width,
            charts=self._value("document.querySelectorAll('.chart svg').length"),
            text=self._value("document.body.innerText"),
        )
        whole = self._value("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height or whole, "scale": 1}
        shot = self.call("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        seen.picture = base64.b64decode(shot["data"])
        self._judge(seen, address)
        return seen

    def _resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", size)

    def _judge(self, seen: Seen, address: str) -> None:
        for event in self._events:
            details = event.get("params", {})
            match event.get("method"):
                case "Network.requestWillBeSent" if not details["request"]["url"].startswith((address, "data:")):
                    seen.requests.append(details["request"]["url"])
                case "Runtime.exceptionThrown":
                    seen.errors.append(details["exceptionDetails"]["text"])
                case "Log.entryAdded" if details["entry"]["level"] in ("error", "warning"):
                    seen.errors.append(details["entry"]["text"])
                case "Runtime.consoleAPICalled" if details["type"] in ("error", "warning", "assert"):
                    seen.errors.append(str(details["args"]))

    def _value(self, script: str) -> Any:
        return self.call("Runtime.evaluate", {"expression": script, "returnByValue": True})["result"].get("value")

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Send a command of the DevTools protocol to the page; return its result."""
        return self._call(method, params, self._session)

    def _call(self, method: str, params: dict[str, Any] | None = None, session: str | None = None) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events.append(answer)

    def _wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self._events):
            self._events.append(self._read())

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 16)
            if not piece:
                raise RuntimeError(f"{self._path} ended")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


def main() -> int:
    """Render the README's picture."""
    path = chromium_path()
    if path is None:
        sys.stderr.write("no Chromium found: install the package chromium, or name it with CHROMIUM=...\n")
        return 2
    with Chromium(path) as chromium, tempfile.TemporaryDirectory() as folder:
        PICTURE.write_bytes(chromium.look(_demo_report(Path(folder)), height=HEIGHT).picture)
    sys.stdout.write(f"{PICTURE}\n")
    return 0


def _demo_report(folder: Path) -> Path:
    warehouse, page = folder / "warehouse.duckdb", folder / "report.html"
    build_demo(warehouse, datetime.now(UTC))
    write_report(warehouse, page, None, 0, print)
    return page


if __name__ == "__main__":
    sys.exit(main())
