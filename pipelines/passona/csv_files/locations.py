"""Find the files of an import: on this machine or behind a link.

    paths, folders, addresses -> CsvFile

Local files are read in place. Other files, and pipes, are copied into the private folder of the run.
"""

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from passona.csv_files._downloads import download
from passona.csv_files.reader import CsvFile
from passona.errors import ConfigurationError
from passona.masking.messages import masked, printable

ENDINGS = (".csv", ".csv.gz")
STDIN = "-"


def fetch_files(places: Sequence[str], folder: Path, made_at: datetime | None) -> list[CsvFile]:
    """Return all files at these places, each once. `folder`: for copies. `made_at`: set by the user, for all of them.

    :raises ConfigurationError: a place has no file, or is not supported.
    :raises RequestFailed: a download failed.
    """
    files: dict[str, CsvFile] = {}
    for place in places:
        for key, file in _at(place, folder, made_at):
            files.setdefault(key, file)
    return list(files.values())


def _at(place: str, folder: Path, made_at: datetime | None) -> Iterator[tuple[str, CsvFile]]:
    scheme, remote, _ = place.partition("://")
    scheme = scheme.lower()
    if place == STDIN or (not remote and _is_pipe(Path(place))):
        # A file is read more than once; a pipe cannot be.
        name = "standard input" if place == STDIN else place
        yield place, _file(_copy(place, folder), name, made_at, datetime.now(UTC), vouched=False)
    elif not remote:
        for path in _local(place):
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            yield str(path.resolve()), _file(path, path.name, made_at, changed, vouched=False)
    elif scheme not in ("http", "https"):
        raise ConfigurationError(f"{scheme}:// is not supported: copy the file to this machine, or pipe it (-)")
    else:
        path = _new_file(folder)
        made = download(place, path)
        # The rest of a mailed link may be a secret.
        name = f"the file from {urlsplit(place).hostname}"
        yield place, _file(path, name, made_at, made or datetime.now(UTC), vouched=made is not None)


def _file(path: Path, name: str, by_user: datetime | None, made: datetime, *, vouched: bool) -> CsvFile:
    made_at = min(by_user or made, datetime.now(UTC))
    return CsvFile(path, masked(printable(name))[:80], made_at, vouched=by_user is not None or vouched)


def _new_file(folder: Path) -> Path:
    """Create an empty file that only its owner can read."""
    path = folder / f"{len(list(folder.iterdir()))}.csv"
    path.touch(0o600, exist_ok=False)
    return path


def _is_pipe(path: Path) -> bool:
    """Return True for the shell's <(...) and other files without a size."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _copy(place: str, folder: Path) -> Path:
    path = _new_file(folder)
    with click.open_file(place, "rb") as file, path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return path


def _local(place: str) -> list[Path]:
    try:
        path = Path(place).expanduser()
    except RuntimeError:  # ~somebody
        raise ConfigurationError(f"{masked(place)}: no user of this name has a home folder here") from None
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(f"{masked(place)}: no such file")
    files = sorted(each for each in path.iterdir() if _is_csv(each.name) and each.is_file())
    if not files:
        raise ConfigurationError(f"{masked(place)}: no {' or '.join(ENDINGS)} in the folder")
    return files


def _is_csv(name: str) -> bool:
    """Return True for a .csv in a folder, except hidden files (macOS's ._name) and Excel's lock files."""
    return name.lower().endswith(ENDINGS) and not name.startswith((".", "~$"))
