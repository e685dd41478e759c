"""`--on-failure`: a command or an address that is told how a run failed.

    outcome as JSON -> standard input of a command, or POST to an address

A command is split into words as a shell would do it, and run without a shell: nothing is expanded, and shell syntax is
refused. Neither gets the token: it is removed from the command's environment, and the address gets the outcome alone.
What goes wrong here is a line, and changes nothing of how the run ended.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import orjson

from passona.config.environment import user_environment
from passona.config.settings import LOOPBACK
from passona.errors import ConfigurationError

# A service that takes messages answers in one; a run that failed must end all the same.
POST_SECONDS = 10.0
# Enough to send a mail.
COMMAND_SECONDS = 60.0
_SECRETS = ("API_TOKEN", "PRIVACY_KEY", "PRIVACY_FORMER_KEYS")
_STDERR = 2


def is_address(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


def check_target(target: str) -> None:
    """Nothing, where a command or an address may be told.

    :raises ConfigurationError: it is none, or the address would be told in clear.
    """
    if not target.strip():
        raise ConfigurationError("--on-failure: expected a command or an https address, got nothing")
    if not is_address(target):
        _check_command(target)
        return
    try:
        parts = urlsplit(target)
        host = parts.hostname
        _ = parts.port  # raises where it is no number
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError("--on-failure: the address cannot be read; expected something like https://host/path")
    if parts.scheme.lower() == "http" and host not in LOOPBACK:
        raise ConfigurationError(f"--on-failure: http would tell {host} in clear; use https")


def _check_command(command: str) -> None:
    try:
        words, lexer = shlex.split(command), shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        pieces = list(lexer)
    except ValueError as error:
        raise ConfigurationError("--on-failure: a quotation mark in the command is not closed") from error
    of_shells = pieces != words or any(re.fullmatch(r"[();<>|&]+", word) for word in words)
    if of_shells or (not words[0].endswith("sh") and re.search(r"[$`]", command)):
        raise ConfigurationError(
            "--on-failure: the command is run without a shell, so no pipe, no redirection and no variable works in it; "
            "quote what is meant literally, or give the whole to one: sh -c '...'"
        )
    if shutil.which(words[0]) is None:
        raise ConfigurationError(f"--on-failure: there is no command {words[0]!r} that can be run")


def tell_failure(target: str, document: Mapping[str, Any]) -> str | None:
    """Tells it; a line that says what went wrong with that, None if nothing did."""
    body = orjson.dumps(document, option=orjson.OPT_UTC_Z)
    return _post(target, body) if is_address(target) else _run(target, body, int(document["exit_code"]))


def _post(address: str, body: bytes) -> str | None:
    """An address may be a secret in itself, so no more is said of it than its host."""
    said: list[str | None] = []
    thread = threading.Thread(target=lambda: said.append(_answer(address, body)), daemon=True)
    thread.start()
    thread.join(POST_SECONDS)  # of the whole, which requests does not bound
    problem = said[0] if said else f"no answer within {POST_SECONDS:g} s"
    return problem and f"--on-failure: {urlsplit(address).hostname}: {problem}"


def _answer(address: str, body: bytes) -> str | None:
    import requests

    headers = {"Content-Type": "application/json", "User-Agent": f"passona-warehouse/{version('passona-warehouse')}"}
    try:
        with requests.post(
            address, data=body, headers=headers, timeout=POST_SECONDS, allow_redirects=False, stream=True, auth=_nobody
        ) as answer:
            return None if 200 <= answer.status_code < 300 else f"status {answer.status_code}"
    except (requests.RequestException, OSError) as error:  # no certificates where a variable says so
        return f"no answer ({type(error).__name__})"


def _nobody(request: Any) -> Any:
    """No name and password from a .netrc."""
    return request


def _run(command: str, body: bytes, code: int) -> str | None:
    variables = {name: value for name, value in user_environment().items() if not name.upper().endswith(_SECRETS)}
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's own words
            shlex.split(command),
            stdin=subprocess.PIPE,
            stdout=_STDERR,  # standard output is for results
            env=variables | {"PASSONA_EXIT_CODE": str(code)},
            start_new_session=True,
        )
    except OSError as error:
        return f"--on-failure: the command did not start: {error.strerror}"
    try:
        process.communicate(body, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"--on-failure: the command did not end within {COMMAND_SECONDS:g} s"
    return f"--on-failure: the command ended with {process.returncode}" if process.returncode else None
