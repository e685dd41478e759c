"""`passona config`."""

import re
from typing import Any

from rich.console import Console

from passona.cli import options
from passona.cli.screen import new_table, plain, print_result
from passona.config.address import warehouse_address
from passona.config.configuration import (
    DEFAULTS,
    TYPES,
    Configuration,
    is_secret,
    read_configuration,
    settings_of,
)
from passona.errors import ConfigurationError

_MASK = "***"
_WIDTH = 80
_LONGEST_NAME = len("DESTINATION__WAREHOUSE__DESTINATION_TYPE")


@options.verb("passona config", "passona config --json")
@options.as_json
def config(*, as_json: bool) -> None:
    """Show every setting with its value and origin.

    Settings come from variables (SOURCES__PASSONA__PAGE_SIZE), .dlt/secrets.toml and .dlt/config.toml. Secrets
    are masked. Also lists settings that have no effect on this program. Needs no token.

    Exit codes: 0, or 2 if a name is misspelled or a value cannot work.
    """
    configuration = read_configuration()
    document = _document(configuration)
    print_result(document, lambda: _print(document), as_json=as_json)
    warehouse_address()
    for account in configuration.accounts():
        settings_of(configuration, account, api_token="none")  # noqa: S106  # stands for none


def _document(configuration: Configuration) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "settings": [
            {"section": ".".join(section), "key": key} | _shown(configuration, (*section, key))
            for section, keys in configuration.sections()
            for key in keys
        ],
        "misspelled": [f"{name}: did you mean {meant}?" for name, meant in configuration.misspelled().items()],
        "without_effect": configuration.without_effect(),
    }


def _shown(configuration: Configuration, path: tuple[str, ...]) -> dict[str, Any]:
    """Return the value of a key, masked if it is secret, and its origin."""
    setting = configuration.setting(path)
    if setting is None:
        return {"value": DEFAULTS[path[-1]], "origin": "default"}
    if is_secret(path):
        return {"value": _MASK, "origin": setting.origin}
    try:
        value = configuration.typed_value(path) if path[-1] in TYPES else setting.value
    except ConfigurationError:  # reported after everything is printed
        value = setting.value
    return {"value": _harmless(value), "origin": setting.origin}


def _harmless(value: Any) -> Any:
    """Mask the password that an address may hold."""
    return re.sub(r"//[^/@]*@|\?.*", _MASK, value) if isinstance(value, str) else value


def _print(document: dict[str, Any]) -> None:
    console, rows = Console(highlight=False, width=_WIDTH), document["settings"]
    table = new_table("key", "value", "origin", numbers=False)
    for column in table.columns[1:]:
        column.overflow, column.no_wrap = "fold", False
    # Names of variables stay whole, to be copied. A path may be longer than a line.
    table.columns[2].no_wrap = all(len(row["origin"]) <= _LONGEST_NAME for row in rows)
    for number, row in enumerate(rows):
        if number == 0 or row["section"] != rows[number - 1]["section"]:
            table.add_row(plain(f"[{row['section']}]"))
        table.add_row(row["key"], plain(_text(row["value"])), plain(row["origin"]))
    console.print(table)
    for title in ("misspelled", "without_effect"):
        for line in [f"\n{title.replace('_', ' ')}:", *document[title]] if document[title] else ():
            console.print(line, overflow="fold", markup=False)


def _text(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
