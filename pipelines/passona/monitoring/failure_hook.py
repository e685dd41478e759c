"""`--on-failure`: run a command, or POST to an address, when a run failed.

    outcome as JSON -> standard input of the command, or body of the POST

A command is split into words as a shell would, and runs without one: nothing is expanded, and shell syntax is
refused. Its environment has no token and no privacy key. A failing hook is logged; the exit code stays.
"""

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

# A message service answers within a second; the run must end even if it does not.
POST_SECONDS = 10.0
# Enough to send a mail.
COMMAND_SECONDS = 60.0
_SECTION = "SOURCES__PASSONA"
_SECRETS = ("API_TOKEN", "PRIVACY_KEY", "PRIVACY_FORMER_KEYS")
_STDERR = 2


def _is_address(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


def _is_secret(variable: str) -> bool:
    """Return True for a variable that may hold a secret, also if it holds a whole section as JSON."""
    return variable.endswith(_SECRETS) or variable == _SECTION or variable.startswith(f"{_SECTION}__ACCOUNTS")


def check_target(target: str) -> None:
    """Check that this is a command or an address that can be called.

    :raises ConfigurationError: it is not, or the POST would not be encrypted.
    """
    if not target.strip():
        raise ConfigurationError("--on-failure: expected a command or an https address, got nothing")
    if not _is_address(target):
        _check_command(target)
        return
    try:
        parts = urlsplit(target)
        host = parts.hostname
        _ = parts.port  # raises ValueError if it is no number
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError("--on-failure: the address cannot be read; expected something like https://host/path")
    if parts.scheme.lower() == "http" and host not in LOOPBACK:
        raise ConfigurationError(f"--on-failure: http would send the outcome to {host} in clear; use https")


def _check_command(command: str) -> None:
    try:
        words, lexer = shlex.split(command), shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        pieces = list(lexer)
    except ValueError as error:
        raise ConfigurationError("--on-failure: a quotation mark in the command is not closed") from error
    has_operators = pieces != words or any(re.fullmatch(r"[();<>|&]+", word) for word in words)
    if has_operators or (not words[0].endswith("sh") and re.search(r"[$`]", command)):
        raise ConfigurationError(
            "--on-failure: the command is run without a shell, so pipes, redirections and variables do not work; "
            "quote what is meant literally, or call a shell: sh -c '...'"
        )
    if shutil.which(words[0]) is None:
        raise ConfigurationError(f"--on-failure: there is no command {words[0]!r} that can be run")


def call_hook(target: str, document: Mapping[str, Any]) -> str | None:
    """Call the hook with the outcome; return a line that says what went wrong, or None."""
    body = orjson.dumps(document, option=orjson.OPT_UTC_Z)
    return _post(target, body) if _is_address(target) else _run(target, body, int(document["exit_code"]))


def _post(address: str, body: bytes) -> str | None:
    """POST the body. The path of an address may be a secret, so the line names only the host."""
    problems: list[str | None] = []
    thread = threading.Thread(target=lambda: problems.append(_send(address, body)), daemon=True)
    thread.start()
    thread.join(POST_SECONDS)  # of the whole exchange, which requests does not limit
    problem = problems[0] if problems else f"no answer within {POST_SECONDS:g} s"
    return problem and f"--on-failure: {urlsplit(address).hostname}: {problem}"


def _send(address: str, body: bytes) -> str | None:
    import requests

    headers = {"Content-Type": "application/json", "User-Agent": f"passona-warehouse/{version('passona-warehouse')}"}
    try:
        with requests.post(
            address,
            data=body,
            headers=headers,
            timeout=POST_SECONDS,
            allow_redirects=False,
            stream=True,
            auth=lambda request: request,  # no password from a .netrc
        ) as response:
            return None if 200 <= response.status_code < 300 else f"status {response.status_code}"
    except (requests.RequestException, OSError) as error:  # OSError: REQUESTS_CA_BUNDLE names no file
        return f"no answer ({type(error).__name__})"


def _run(command: str, body: bytes, code: int) -> str | None:
    variables = {name: value for name, value in user_environment().items() if not _is_secret(name.upper())}
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's own command
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
