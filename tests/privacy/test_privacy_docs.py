"""The commands of docs/privacy.md on the data that it takes for an example: they print what it shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox
from support.ann_and_zeb import delivery, recipient
from support.campaigns import click
from support.warehouses import GUIDE

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PAGE = Path(__file__).parents[2] / "docs/privacy.md"
ANN, ZEB = "447700900123", "447700900124"


def fill(account: Account) -> None:
    account.put(
        {"uuid": GUIDE, "name": "Spring", "started_sending_at": "2026-03-02 10:00:00", "expiry_date": "2026-03-05 10:00:00"},
        {
            "clicks": [click(Phone_Number=ANN, Clicked_At="2026-03-02 10:04:31", Link_Name="Offers")],
            "delivery": [delivery(ANN, "Hi Ann, 20% off until Sunday"), delivery(ZEB, "Hi Zeb, ask Ann on 07700 900123")],
            "recipient": [recipient(ANN, Field_Names="Town", Field_Values="Leith"), recipient(ZEB)],
        },
    )  # fmt: skip


def shown() -> list[tuple[str, str]]:
    """The commands on the page that are shown with what they print."""
    blocks = re.findall(r"```console\n(\$ passona (?:person|forget).*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    commands = [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.MULTILINE) if command]
    return [(line, printed) for command in commands for line, _, printed in [command.partition("\n")] if printed]


def steady(text: str) -> str:
    """Without what is another each time: sizes of files, the time of the run, spaces at the ends of lines."""
    text = re.sub(r"[0-9,]+ bytes", "N bytes", text)
    text = re.sub(r"since [0-9: -]+ UTC", "since T UTC", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.duckdb("the page uses a file")
def test_the_page_shows_what_the_commands_print(account: Account, box: Sandbox, passona: Run) -> None:
    fill(account)
    assert passona("load", box=box).returncode == 0
    pairs = shown()
    assert len(pairs) >= 6
    for line, printed in pairs:
        arguments = [argument.strip('"') for argument in re.findall(r'"[^"]*"|[^ "]+', line)]
        ended = passona(*arguments[1:], box=box)
        assert (ended.returncode, ended.stderr) == (0, ""), line
        assert steady(ended.stdout) == steady(printed), line
