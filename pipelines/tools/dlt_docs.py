"""`make docs`: what dlt's own tools print on the demo's warehouse, in docs/dlt.md.

What a block of `console` or `python` prints stands below its code: in the same block after the command,
in a block `text` after the script. What would differ from day to day and from folder to folder is written
as if it did not. Nothing else of the file is touched; a test compares.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from demo_data import NOW, ROWS, load_account
from passona_sandbox import Account

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/dlt.md"
_SETTINGS = re.compile(r"```toml\n(.*?)```\n", re.DOTALL)
_COMMAND = re.compile(r"```console\n\$ (?P<code>[^\n]*)\n(?P<result>.*?)```\n", re.DOTALL)
_SCRIPT = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<result>.*?)```\n)?", re.DOTALL)


def with_results(text: str, warehouse: Path) -> str:
    """The page as it is to be for this warehouse: every command and script of it is run, in the page's order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".dlt").mkdir()
        (folder / ".dlt/config.toml").write_text(_SETTINGS.findall(text)[0])
        text = _COMMAND.sub(
            lambda found: f"```console\n$ {found['code']}\n{_printed(folder, warehouse, found['code'])}```\n", text
        )
        return _SCRIPT.sub(
            lambda found: (
                f"```python\n{found['code']}```\n\n```text\n"
                f"{_printed(folder, warehouse, 'python -', found['code'])}```\n"
            ),
            text,
        )


def _printed(folder: Path, warehouse: Path, command: str, script: str = "") -> str:
    """What a command of a shell prints, in a folder that has the page's configuration."""
    ended = subprocess.run(  # noqa: S603  # commands of our own page
        ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607  # wherever bash is
        cwd=folder, input=script, check=False, capture_output=True, text=True,
        env={name: value for name, value in os.environ.items() if "__" not in name} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DLT_DATA_DIR": str(folder / "data"),
            "DESTINATION__WAREHOUSE__CREDENTIALS": str(warehouse),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        },
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"{command} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return _stopped(ended.stdout.replace(str(folder / "data"), "~/.dlt").replace(str(folder), "/data/passona"))


def _stopped(text: str) -> str:
    """Instants as if the clock stood at the demo's time; no blanks at the ends of lines."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00", f"{NOW}", text)
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").split("\n"))


def main() -> int:
    """Writes the page anew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        load_account(Account(rows=ROWS, now=NOW.timestamp()), path)
        PAGE.write_text(with_results(PAGE.read_text("utf-8"), path), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
