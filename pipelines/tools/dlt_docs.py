"""`make docs`: update the output of dlt's own tools on the demo's warehouse in docs/dlt.md.

The output of a `console` block follows its command in the same block; that of a `python` block is the next `text`
block. Times and folders are replaced by fixed ones. The rest of the file stays; a test compares.
"""

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
    """Return the page with the output of all its commands and scripts, run in order, on this warehouse."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".dlt").mkdir()
        (folder / ".dlt/config.toml").write_text(_SETTINGS.findall(text)[0])
        text = _COMMAND.sub(
            lambda block: f"```console\n$ {block['code']}\n{_printed(folder, warehouse, block['code'])}```\n", text
        )
        return _SCRIPT.sub(
            lambda block: (
                f"```python\n{block['code']}```\n\n```text\n"
                f"{_printed(folder, warehouse, 'python -', block['code'])}```\n"
            ),
            text,
        )


def _printed(folder: Path, warehouse: Path, command: str, script: str = "") -> str:
    """Run a shell command in a folder with the page's configuration; return its output."""
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
    return _stable(ended.stdout.replace(str(folder / "data"), "~/.dlt").replace(str(folder), "/data/passona"))


def _stable(text: str) -> str:
    """Replace times by the demo's, and remove blanks at the ends of lines."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00", f"{NOW}", text)
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").split("\n"))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        load_account(Account(rows=ROWS, now=NOW.timestamp()), path)
        PAGE.write_text(with_results(PAGE.read_text("utf-8"), path), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
