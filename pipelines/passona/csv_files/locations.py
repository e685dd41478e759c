"""Where the files of an import are: on this machine, behind a link, in an object store; brought to this machine.

    paths, folders, globs, addresses -> CsvFile

Files of this machine are read where they are. Others, and what comes through a pipe, are copied into a folder of
their owner alone, which ends with the run.
"""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import click

from passona.config.configuration import object_store
from passona.csv_files._downloads import download
from passona.csv_files.reader import CsvFile
from passona.errors import ConfigurationError, RequestFailed
from passona.masking.messages import masked, printable

ENDINGS = (".csv", ".csv.gz")
STDIN = "-"


def fetch_files(places: Sequence[str], folder: Path, made_at: datetime | None) -> list[CsvFile]:
    """All files at these places, each once. `folder`: for copies. `made_at`: the user's word for when they were made.

    :raises ConfigurationError: there is none at a place, or it cannot be reached.
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
        # Read more than once, which a pipe cannot be.
        name = "standard input" if place == STDIN else place
        yield place, _file(_copied(place, folder), name, made_at, datetime.now(UTC), vouched=False)
    elif not remote:
        for path in _local(place):
            yield str(path.resolve()), _file(path, path.name, made_at, _changed(path), vouched=False)
    elif scheme in ("http", "https"):
        to = _next_in(folder)
        made = download(place, to)
        # The rest of the address may be the secret that a mail brings.
        name = f"the file from {urlsplit(place).hostname}"
        yield place, _file(to, name, made_at, made or datetime.now(UTC), vouched=made is not None)
    else:
        yield from _stored(place, folder, made_at)


def _file(path: Path, name: str, wished: datetime | None, made: datetime, *, vouched: bool) -> CsvFile:
    now = datetime.now(UTC)
    return CsvFile(path, masked(printable(name))[:80], min(wished or made, now), vouched=wished is not None or vouched)


def _next_in(folder: Path) -> Path:
    return folder / f"{len(list(folder.iterdir()))}.csv"


def _is_pipe(path: Path) -> bool:
    """Whether it is one of the shell's own making, <(...), or another file that has no size."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _copied(place: str, folder: Path) -> Path:
    to = _next_in(folder)
    to.touch(0o600)
    with click.open_file(place, "rb") as file, to.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return to


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _local(place: str) -> list[Path]:
    try:
        path = Path(place).expanduser()
    except RuntimeError:  # ~somebody
        raise ConfigurationError(f"{masked(place)}: nobody of this name has a home folder here") from None
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if _is_csv(each.name) and each.is_file())
        what = f"no {' or '.join(ENDINGS)} in the folder"
    else:
        names = glob.glob(str(path))  # noqa: PTH207  # Path.glob takes no absolute pattern
        found = sorted(each for name in names if (each := Path(name)).is_file())
        what = "no such file"
    if not found:
        raise ConfigurationError(f"{masked(place)}: {what}")
    return found


def _is_csv(name: str) -> bool:
    """Whether a file of a folder is meant; none that is hidden (macOS's ._name), nor one that Excel keeps at work."""
    return name.lower().endswith(ENDINGS) and not name.startswith((".", "~$"))


def _stored(address: str, folder: Path, made_at: datetime | None) -> Iterator[tuple[str, CsvFile]]:
    """The files of an object store: one, all that fit a pattern, or the .csv of a folder."""
    store, path = object_store(address)
    scheme = address.partition("://")[0]
    try:
        found = [name for name in _names(store, path) if store.isfile(name)]
        for name in found:
            to = _next_in(folder)
            to.touch(0o600)
            store.get_file(name, str(to))
            made = _stored_at(store.info(name))
            yield f"{scheme}://{name}", _file(to, PurePosixPath(name).name, made_at, made, vouched=False)
    except Exception as error:  # each store has errors of its own
        raise RequestFailed(f"{scheme}://: the files cannot be had ({type(error).__name__}); run again") from error
    if not found:
        raise ConfigurationError(f"{masked(address)}: no such file")


def _names(store: Any, path: str) -> list[str]:
    if store.isdir(path):
        return [name for name in sorted(store.ls(path, detail=False)) if _is_csv(PurePosixPath(name).name)]
    return sorted(store.glob(path))


def _stored_at(info: dict[str, Any]) -> datetime:
    """When a file was put into its store; now, if the store does not say."""
    times = (info.get(key) for key in ("LastModified", "last_modified", "mtime", "updated", "created"))
    return next((time.astimezone(UTC) for time in times if isinstance(time, datetime)), datetime.now(UTC))
