"""`python -m passona_sandbox`: the options of `run` and the switches, as command-line options."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from passona_sandbox.clock import LONDON, Zone
from passona_sandbox.process import run
from passona_sandbox.switches import Switches


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return 2 if an option, the faults file or the port cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m passona_sandbox", description="A local Passona, token `sandbox`.")
    add_arguments(parser)
    arguments = vars(parser.parse_args(argv))
    names = {switch.name for switch in dataclasses.fields(Switches)}
    switches = {name: arguments.pop(name) for name in names}
    switches["teams"] = tuple(switches.pop("teams") or ())
    try:
        run(**arguments, switches=Switches(**switches))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the account, the faults file, and one option per switch."""
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--campaigns", type=int, default=5, help="made-up campaigns (default: 5)")
    parser.add_argument("--rows", type=int, default=10_000, help="their rows, all together (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another account (default: 1)")
    parser.add_argument("--hostile", action="store_true", help="frequent and worse oddities in the values")
    parser.add_argument("--refused", action="store_true", help="one campaign more, answered with 403")
    parser.add_argument("--zone", choices=get_args(Zone), default=LONDON, help="of times without an offset")
    parser.add_argument("--live", action="store_true", help="campaigns start, send, settle and leave as time goes by")
    parser.add_argument("--faults", type=Path, help="JSON file with fault rules, see the README")
    for switch in dataclasses.fields(Switches):
        parser.add_argument("--" + switch.name.replace("_", "-"), **_option(switch))


def _option(switch: dataclasses.Field[Any]) -> dict[str, Any]:
    default, text = switch.default, switch.metadata["help"]
    option: dict[str, Any] = {"default": default, "help": f"{text} (default: {json.dumps(default)})"}
    if isinstance(default, bool):
        return {**option, "action": argparse.BooleanOptionalAction, "help": text}
    if isinstance(default, tuple):
        return {**option, "nargs": "*", "metavar": "UUID"}
    hint = get_type_hints(Switches)[switch.name]
    choices = get_args(hint) if get_origin(hint) is Literal else None
    return {**option, "type": int if default is None else type(default), "choices": choices}


if __name__ == "__main__":
    sys.exit(main())
