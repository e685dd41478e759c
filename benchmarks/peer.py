"""The peers that we are compared with and that do not go with our versions: each in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rounds import say

HERE = Path(__file__).resolve().parent
# A package index that cannot be reached is given up; all of it takes a minute or two.
LIMIT = 600


class NotInstalled(Exception):  # noqa: N818  # named for what happened
    """A peer cannot be had here; says which, and why."""


@dataclass(frozen=True)
class Peer:
    """What runs one of our `script`s: the folder of its environment, its pins, and the parts worth naming.

    `pythons`: versions that it was built for.
    """

    name: str
    script: Path
    folder: Path
    requirements: Path
    pythons: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def _stamp(self) -> Path:
        """Holds the pins that are installed: other pins, another environment."""
        return self.folder / ".installed"

    def install(self) -> None:
        """Makes its environment, if it is not there yet.

        :raises NotInstalled: it cannot be made; nothing of it stays.
        """
        pins = self.requirements.read_text()
        if self._stamp.exists() and self._stamp.read_text() == pins:
            return
        say(f"installing {self.name} into {self.folder.name} (once)")
        pip = [self.python, "-m", "pip", "install", "--quiet", "--requirement", self.requirements]
        try:
            for command in ([self._interpreter(), "-m", "venv", "--clear", self.folder], pip):
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT)
        except (subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            said = getattr(error, "stderr", None) or str(error)
            raise NotInstalled(
                f"{self.name} cannot be installed here: {said.strip().splitlines()[-1][:200]}"
            ) from error
        self._stamp.write_text(pins)

    def _interpreter(self) -> str:
        """One that it runs on: ours if that will do."""
        if "{}.{}".format(*sys.version_info) in self.pythons:
            return sys.executable
        found = next(filter(None, (shutil.which(f"python{version}") for version in self.pythons)), None)
        if found is None:
            wanted = " or ".join(self.pythons)
            raise NotInstalled(f"{self.name} cannot be installed here: it needs Python {wanted}, and there is none")
        return found

    def versions(self) -> str:
        """Its parts with their versions; "not installed" where it is not."""
        if not self._stamp.exists():
            return "not installed"
        code = (
            "import platform; from importlib.metadata import version as v; "
            f"print(f'Python {{platform.python_version()}}', *(f'{{n}} {{v(n)}}' for n in {self.parts}), sep=', ')"
        )
        return subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


SINGER = Peer(
    "the Singer peer",
    HERE / "singer_load.py",
    HERE.parent / ".venv-peer",
    HERE / "peer-requirements.txt",
    ("3.12", "3.11"),  # DuckDB 1.0.0, which it rests on, was built for none newer
    ("singer-sdk", "target-duckdb", "duckdb", "requests"),
)
AIRBYTE = Peer(
    "PyAirbyte",
    HERE / "airbyte_load.py",
    HERE.parent / ".venv-airbyte",
    HERE / "airbyte-requirements.txt",
    ("3.12", "3.11"),  # it admits none newer
    ("airbyte", "airbyte-cdk", "duckdb", "requests"),
)
