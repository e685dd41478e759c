"""Where settings are found, what is wrong with them, and that to look for them changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from passona.config import _lookup as lookup
from passona.config.address import warehouse_address
from passona.config.configuration import (
    SOURCE,
    TYPES,
    load_accounts,
    load_privacy_settings,
    load_retain_days,
    load_settings,
    load_settings_without_token,
    load_timezones,
    read_configuration,
)
from passona.config.settings import Settings
from passona.errors import ConfigurationError
from passona_sandbox import Account, Sandbox
from support.warehouses import environment_of

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and a home without settings; no setting in the environment."""
    for name in os.environ:
        if "__" in name or name.startswith("DLT_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(lookup, "global_dir", lambda: str(tmp_path / "global"))
    monkeypatch.setattr(lookup, "SECRET_FILES", tmp_path / "run_secrets")
    return folder


@pytest.fixture(autouse=True)
def unused_dlt() -> Iterator[None]:
    """dlt as it is in a new process: another test may have used it in this one."""
    container = Container()
    former = container[PluggableRunContext] if PluggableRunContext in container else None  # noqa: SIM401  # it has no get
    if former is not None:
        del container[PluggableRunContext]
    yield
    if former is not None:
        container[PluggableRunContext] = former


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def to(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return to


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def origin(key: str) -> str:
    setting = read_configuration().setting((*SOURCE, key))
    return setting.origin if setting else "default"


def test_without_any_setting_all_but_the_token_has_its_default() -> None:
    assert load_settings(api_token="t") == Settings("t")
    with pytest.raises(ConfigurationError, match="no API token"):
        load_settings()
    assert load_privacy_settings().privacy == "clear"
    assert load_timezones() == {"default": "Europe/London"}
    assert warehouse_address() == Path("warehouse.duckdb").absolute()


def test_settings_come_from_variables_and_files_in_dlts_order(project: Path, tmp_path: Path, set_to: Any) -> None:
    section = "[sources.passona]\n"
    write(
        tmp_path / "global",
        "config.toml",
        f"{section}timezone = 'UTC'\npage_size = 1\nconcurrency = 1\nsettle_days = 1",
    )
    write(project / ".dlt", "config.toml", f"{section}page_size = 2\nconcurrency = 2\nsettle_days = 2")
    write(tmp_path / "global", "secrets.toml", f"{section}concurrency = 3\nsettle_days = 3")
    write(project / ".dlt", "secrets.toml", f"{section}settle_days = 4\napi_token = 'of-secrets'")
    set_to(SOURCES__PASSONA__CLICKS_SETTLE_DAYS="5")
    settings = load_settings()
    assert (settings.timezone, settings.page_size, settings.concurrency) == ("UTC", 2, 3)
    assert (settings.settle_days, settings.clicks_settle_days, settings.api_token) == (4, 5, "of-secrets")
    assert origin("timezone") == str(tmp_path / "global/config.toml")
    assert (origin("page_size"), origin("api_token")) == (".dlt/config.toml", ".dlt/secrets.toml")
    assert (origin("clicks_settle_days"), origin("privacy")) == ("SOURCES__PASSONA__CLICKS_SETTLE_DAYS", "default")
    set_to(SOURCES__PASSONA__API_TOKEN="of the environment")
    assert origin("api_token") == "SOURCES__PASSONA__API_TOKEN"


@pytest.mark.parametrize(
    "place", ["sources--passona--api-token", "sources--passona--api-token/sources--passona--api-token"]
)
def test_a_secret_may_be_a_file_of_docker_or_kubernetes(tmp_path: Path, set_to: Any, place: str) -> None:
    file = tmp_path / "run_secrets" / place
    file.parent.mkdir(parents=True)
    file.write_text("of a file\n")
    set_to(SOURCES__PASSONA__API_TOKEN="of the environment")
    before = dict(os.environ)
    with pytest.raises(ConfigurationError, match="blanks"):  # it is this one that is read
        load_settings()
    file.write_text("of-a-file\n")
    assert load_settings().api_token == "of-a-file"
    assert dict(os.environ) == before


def test_values_have_the_types_of_their_keys(set_to: Any) -> None:
    set_to(
        SOURCES__PASSONA__PAGE_SIZE="50", SOURCES__PASSONA__RETRY_PAUSE="1", SOURCES__PASSONA__PRIVACY="pseudonymous",
        SOURCES__PASSONA__PRIVACY_KEY="1" * 32, SOURCES__PASSONA__PRIVACY_FIELDS='["Town", "Größe"]',
        SOURCES__PASSONA__PUBLISHED="[]",
    )  # fmt: skip
    settings = load_settings_without_token()
    assert (settings.page_size, settings.retry_pause, settings.privacy_fields) == (50, 1.0, ("Town", "Größe"))
    assert (settings.privacy_key, settings.published) == ("1" * 32, ())


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("page_size = 'many'", "a whole number"), ("page_size = 1.5", "a whole number"), ("page_size = true", "a whole number"),
        ("page_size = [1]", "a whole number"), ("retry_pause = 'x'", "a number"), ("timezone = ['UTC']", "a text"),
        ("published = 'x.duckdb'", "a list of texts"), ("privacy_fields = [1]", "a list of texts"),
        ("privacy_fields = true", "a list of texts"), ("timezone = false", "a text"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_where_it_stands(project: Path, line: str, what: str) -> None:
    write(project / ".dlt", "config.toml", f"[sources.passona]\n{line}")
    key = line.split(maxsplit=1)[0]
    with pytest.raises(ConfigurationError, match=rf"^sources\.passona\.{key} in \.dlt/config\.toml: expected {what}"):
        load_settings_without_token()


def test_a_variable_of_another_type_is_named(set_to: Any) -> None:
    set_to(SOURCES__PASSONA__CONCURRENCY="abc")
    with pytest.raises(ConfigurationError, match=r"^SOURCES__PASSONA__CONCURRENCY: expected a whole number"):
        load_settings_without_token()


@pytest.mark.parametrize(
    "load", [load_settings_without_token, load_privacy_settings, load_retain_days, load_timezones, warehouse_address]
)
@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("[sources.passona]\nprivcy = 'minimal'", "sources.passona.privcy", "sources.passona.privacy"),
        ("[source.passona]\nprivacy = 'minimal'", "source.passona.privacy", "sources.passona.privacy"),
        ("[sources.pasona]\nprivacy = 'minimal'", "sources.pasona.privacy", "sources.passona.privacy"),
    ],
)  # fmt: skip
def test_whoever_asks_for_settings_is_told_of_misspelled_ones(
    project: Path, load: Callable[[], Any], text: str, name: str, meant: str
) -> None:
    write(project / ".dlt", "config.toml", text)
    with pytest.raises(ConfigurationError) as refused:
        load()
    assert str(refused.value).startswith(f"{name} in .dlt/config.toml: there is no such key; did you mean {meant}?")


def test_an_account_has_its_own_token_and_what_differs(project: Path, set_to: Any) -> None:
    write(
        project / ".dlt", "config.toml",
        "[sources.passona]\npage_size = 50\ntimezone = 'UTC'\nprivacy = 'clear'\n"
        "[sources.passona.accounts.shop]\ntimezone = 'Europe/Paris'\n",
    )  # fmt: skip
    set_to(SOURCES__PASSONA__API_TOKEN="d", SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN="s")
    set_to(SOURCES__PASSONA__ACCOUNTS__BRAND_A__API_TOKEN="a", SOURCES__PASSONA__ACCOUNTS__BRAND_A__PAGE_SIZE="7")
    found = [(s.account, s.api_token, s.page_size, s.timezone, s.other_accounts) for s in load_accounts()]
    assert found == [
        ("default", "d", 50, "UTC", ("brand_a", "shop")),
        ("brand_a", "a", 7, "UTC", ("default", "shop")),
        ("shop", "s", 50, "Europe/Paris", ("default", "brand_a")),
    ]
    assert [settings.account for settings in load_accounts("shop")] == ["shop"]
    assert load_settings().api_token == "d"
    assert load_settings("shop").api_token == "s"


def test_one_account_is_the_account_default_and_needs_no_name(set_to: Any) -> None:
    set_to(SOURCES__PASSONA__API_TOKEN="t")
    assert load_accounts() == (Settings("t"),)
    assert load_accounts()[0].label is None


def test_named_accounts_need_no_default(set_to: Any) -> None:
    set_to(SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN="t")
    assert [(settings.account, settings.label) for settings in load_accounts()] == [("shop", "shop")]


def test_an_account_never_takes_the_token_of_another(set_to: Any) -> None:
    set_to(SOURCES__PASSONA__API_TOKEN="t", SOURCES__PASSONA__ACCOUNTS__SHOP__PAGE_SIZE="7")
    with pytest.raises(ConfigurationError, match="no API token: set SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN"):
        load_accounts()
    assert [settings.api_token for settings in load_accounts("default")] == ["t"]


@pytest.mark.parametrize("where", ["secret file", "secrets.toml"])
def test_account_names_make_known_what_cannot_be_listed(project: Path, tmp_path: Path, set_to: Any, where: str) -> None:
    set_to(SOURCES__PASSONA__ACCOUNT_NAMES='["zoo", "brand_a"]')
    if where == "secret file":
        for name in ("zoo", "brand-a"):
            write(tmp_path / "run_secrets", f"sources--passona--accounts--{name}--api-token", f"of-{name}\n")
    else:
        write(
            project / ".dlt", "secrets.toml",
            "[sources.passona.accounts]\nzoo.api_token = 'of-zoo'\nbrand_a.api_token = 'of-brand-a'\n",
        )  # fmt: skip
    assert [(s.account, s.api_token) for s in load_accounts()] == [("zoo", "of-zoo"), ("brand_a", "of-brand-a")]


def test_the_token_of_an_account_must_not_be_in_config_toml(project: Path) -> None:
    write(project / ".dlt", "config.toml", "[sources.passona.accounts.shop]\napi_token = 't'\n")
    with pytest.raises(ConfigurationError, match=r"this is a secret; move it to \.dlt/secrets\.toml"):
        load_accounts()


@pytest.mark.parametrize("name", ["default", "Brand", "a-b", "a__b", "ä", "a b", ""])
def test_a_name_that_no_account_can_have(project: Path, name: str) -> None:
    write(project / ".dlt", "secrets.toml", f"[sources.passona.accounts.{json.dumps(name)}]\napi_token = 't'\n")
    with pytest.raises(ConfigurationError, match="expected a name of a-z, 0-9 and single _"):
        load_accounts()


def test_an_account_that_is_not_configured(set_to: Any) -> None:
    set_to(SOURCES__PASSONA__API_TOKEN="t", SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN="s")
    with pytest.raises(ConfigurationError, match="--account shp: no such account; configured: default, shop"):
        load_accounts("shp")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("accounts.shop.pag_size", "sources.passona.accounts.shop.page_size"),
        ("accounts.shop.privacy", "sources.passona.privacy"),
        ("accounts.shop.retain_days", "sources.passona.retain_days"),
        ("accounts.shop.published", "sources.passona.published"),
        ("acounts.shop.api_token", "sources.passona.accounts.shop.api_token"),
        ("account.shop.api_token", "sources.passona.accounts.shop.api_token"),
        ("accounts.shop", "sources.passona.accounts.shop.api_token"),
        ("accounts", "sources.passona.account_names"),
    ],
)
def test_a_misspelled_key_of_an_account(project: Path, name: str, meant: str) -> None:
    write(project / ".dlt", "config.toml", f"[sources.passona]\n{name} = 'x'\n")
    with pytest.raises(ConfigurationError, match=rf"did you mean {meant}\?"):
        load_accounts()


def test_a_value_that_cannot_work_names_the_account(set_to: Any) -> None:
    set_to(SOURCES__PASSONA__API_TOKEN="t", SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN="s")
    set_to(SOURCES__PASSONA__ACCOUNTS__SHOP__PAGE_SIZE="0")
    with pytest.raises(ConfigurationError, match=r"^account shop: sources.passona.page_size: 0 is not between"):
        load_accounts()
    assert len(load_accounts("default")) == 1


def test_config_shows_what_each_account_sets(passona_config: Run) -> None:
    variables = {
        "SOURCES__PASSONA__API_TOKEN": "t", "SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN": "verysecret",
        "SOURCES__PASSONA__ACCOUNTS__SHOP__TIMEZONE": "Asia/Tokyo",
    }  # fmt: skip
    ended = passona_config("--json", **variables)
    assert "verysecret" not in ended.stdout
    rows = [row for row in json.loads(ended.stdout)["settings"] if row["section"] == "sources.passona.accounts.shop"]
    assert rows == [
        {"section": "sources.passona.accounts.shop", "key": key, "value": value, "origin": name}
        for key, value, name in [
            ("api_token", "***", "SOURCES__PASSONA__ACCOUNTS__SHOP__API_TOKEN"),
            ("timezone", "Asia/Tokyo", "SOURCES__PASSONA__ACCOUNTS__SHOP__TIMEZONE"),
        ]
    ]
    printed = passona_config(**variables)
    assert "[sources.passona.accounts.shop]" in printed.stdout
    assert "account" not in passona_config(SOURCES__PASSONA__API_TOKEN="t").stdout


def test_dlts_own_subsections_are_allowed(project: Path) -> None:
    write(
        project / ".dlt", "config.toml",
        "[sources.passona.data_writer]\nfile_max_items = 10\n[sources.passona.schema]\nnaming = 'direct'\n"
        "[sources.passona.clicks]\nmax_table_nesting = 1\n[sources.stripe]\napi_token = 'x'\n",
    )  # fmt: skip
    assert load_settings_without_token() == Settings("none")


@pytest.mark.parametrize(
    "text",
    [
        "timezone = 'Asia/Tokyo'\nretain_days = 90\nprivacy = 'minimal'\n", "[sources]\ntimezone = 'Asia/Tokyo'\n",
        "[pipelines.passona]\ndev_mode = true\ndataset_name = 'sms'\n", "[destination]\ncredentials = 'x.duckdb'\n",
    ],
)  # fmt: skip
def test_only_full_names_count_in_files(project: Path, text: str) -> None:
    write(project / ".dlt", "secrets.toml", text)
    assert load_settings_without_token() == Settings("none")
    assert warehouse_address() == Path("warehouse.duckdb").absolute()


@pytest.mark.parametrize("key", TYPES)
def test_only_full_names_count_in_variables(set_to: Any, key: str) -> None:
    name = key.upper()
    set_to(**{name: "90", f"SOURCES__{name}": "90", f"PASSONA_{name}": "90", f"RUNTIME__{name}": "90"})
    assert load_settings_without_token() == Settings("none")


@pytest.mark.parametrize("key", ["api_token", "privacy_key", "privacy_former_keys"])
def test_a_secret_in_a_file_for_others_is_refused_without_being_shown(project: Path, key: str) -> None:
    write(project / ".dlt", "config.toml", f"[sources.passona]\n{key} = 'verysecret'")
    with pytest.raises(ConfigurationError, match=r"move it to \.dlt/secrets\.toml") as refused:
        load_settings()
    assert "verysecret" not in str(refused.value)


def test_the_address_of_the_warehouse_may_be_whole_or_in_parts(project: Path, set_to: Any) -> None:
    set_to(DESTINATION__WAREHOUSE__CREDENTIALS="/data/w.duckdb")
    assert warehouse_address() == Path("/data/w.duckdb")
    set_to(
        DESTINATION__WAREHOUSE__DESTINATION_TYPE="postgres", DESTINATION__WAREHOUSE__CREDENTIALS="postgresql://u:p@h/d"
    )
    assert str(warehouse_address()) == "postgresql://h:5432/d"
    os.environ.pop("DESTINATION__WAREHOUSE__CREDENTIALS")
    write(
        project / ".dlt",
        "secrets.toml",
        "[destination.warehouse.credentials]\nhost = 'a'\ndatabase = 'b'\nusername = 'c'",
    )
    set_to(DESTINATION__WAREHOUSE__CREDENTIALS__PASSWORD="d", DESTINATION__WAREHOUSE__CREDENTIALS__HOST="e")
    assert str(warehouse_address()) == "postgresql://e:5432/b"


@pytest.mark.parametrize("key", ["DATABSE", "PATH"])
def test_parts_of_an_address_that_name_no_file_are_refused(set_to: Any, key: str) -> None:
    # A new warehouse in the working directory is not where somebody wanted it.
    set_to(**{f"DESTINATION__WAREHOUSE__CREDENTIALS__{key}": "/data/w.duckdb"})
    with pytest.raises(ConfigurationError, match=f"as database, got {key.lower()}"):
        warehouse_address()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[sources.passona]\napi_token = verysecret", "is not TOML, at line 2, column 13"),
        (b"[sources.passona\n", "is not TOML"),
        (b"[sources.passona]\ntimezone = '\xff'", "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_not_quoted(project: Path, text: bytes, said: str) -> None:
    (project / ".dlt").mkdir()
    (project / ".dlt/secrets.toml").write_bytes(text)
    with pytest.raises(ConfigurationError, match=rf"^\.dlt/secrets\.toml {said}") as refused:
        load_settings()
    assert "verysecret" not in str(refused.value)


def test_dlts_variables_say_where_its_files_are_unless_there_are_two(
    project: Path, tmp_path: Path, set_to: Any
) -> None:
    write(tmp_path / "elsewhere", "config.toml", "[sources.passona]\npage_size = 7")
    set_to(DLT_PROJECT_DIR=str(tmp_path), DLT_CONFIG_FOLDER="elsewhere")
    assert load_settings_without_token().page_size == 7
    write(project / ".dlt", "config.toml", "[sources.passona]\npage_size = 8")
    with pytest.raises(ConfigurationError, match=r"^DLT_PROJECT_DIR names .*/elsewhere as the place of the settings"):
        load_settings_without_token()
    set_to(DLT_PROJECT_DIR=str(project), DLT_CONFIG_FOLDER=".dlt")
    assert load_settings_without_token().page_size == 8


def test_a_provider_that_was_registered_is_asked_for_our_keys_alone() -> None:
    script = """
import dlt, os, sys
from dlt.common.configuration.providers import CustomLoaderDocProvider
document = {"sources": {"passona": {"page_size": 7, "api_token": "t"}, "timezone": "UTC"}, "settle_days": 9}
dlt.config.register_provider(CustomLoaderDocProvider("my vault", lambda: document))
from passona.config.configuration import load_settings, read_configuration
found = load_settings()
print(found.page_size, found.timezone, found.settle_days, read_configuration().setting(("sources", "passona", "page_size")).origin)
"""
    printed = subprocess.check_output([sys.executable, "-c", script], text=True, env=environment_of(None), timeout=60)
    assert printed.strip() == "7 Europe/London 3 my vault"


def test_a_vault_that_cannot_be_opened_is_named(set_to: Any) -> None:
    set_to(PROVIDERS__ENABLE_GOOGLE_SECRETS="true")
    with pytest.raises(ConfigurationError, match=r"^PROVIDERS__ENABLE_GOOGLE_SECRETS: the vault cannot be opened"):
        load_settings_without_token()


NO_EFFECTS = """
import logging, os, sys, warnings
from passona.config.configuration import load_privacy_settings, load_retain_days, load_settings, load_timezones, read_configuration
from passona.config.address import warehouse_address
from dlt.common.configuration.container import Container
from dlt.common import logger
def state():
    contexts = {(thread, spec): id(context) for thread, (found, _) in Container().thread_contexts.items()
                for spec, context in found.items()}
    return dict(os.environ), contexts, logger.LOGGER, logging.root.handlers[:], logging.root.level, warnings.filters[:]
if sys.argv[1] == "used":
    import dlt
    dlt.config.get("anything")
    assert dlt.config["load.workers"] == 3
before = state()
load_settings(), load_privacy_settings(), load_retain_days(), load_timezones(), warehouse_address(), read_configuration().without_effect()
assert state() == before
"""


@pytest.mark.parametrize("used", ["used", "unused"])
@pytest.mark.core(1)
def test_to_load_settings_changes_nothing_in_the_process(used: str) -> None:
    settings = {
        "SOURCES__PASSONA__API_TOKEN": "t",
        "RUNTIME__LOG_LEVEL": "DEBUG",
        "LOAD__WORKERS": "3",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    ended = subprocess.run(
        [sys.executable, "-c", NO_EFFECTS, used],
        env=environment_of(None) | settings,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


PIPELINE = """
import dlt, os, sys
from pathlib import Path
from passona.warehouse.database import open_database
from passona.warehouse.load import Load, LoadRequest
from passona.config.configuration import load_settings
sys.path.insert(0, sys.argv[1])
from support.warehouses import Lines
before = dlt.config["load.workers"], dict(os.environ)
database = open_database(Path("w.duckdb").absolute(), 0, print)
print(Load([load_settings()], database, LoadRequest(), Lines()).run().word)
database.close()
assert (dlt.config["load.workers"], dict(os.environ)) == before
other = dlt.pipeline("other", destination="duckdb", pipelines_dir="pipelines")
print(other.dev_mode, other.dataset_name.startswith("other_dataset_2"))
"""


def test_a_load_in_another_process_leaves_its_dlt_as_it_was(project: Path) -> None:
    # As in Dagster or a notebook, where other pipelines have settings of their own.
    with Sandbox(Account(campaigns=1, rows=20)) as box:
        settings = {"DEV_MODE": "true", "LOAD__WORKERS": "3", "RUNTIME__DLTHUB_TELEMETRY": "false", "DBT_EMPTY": "true"}
        ended = subprocess.run(
            [sys.executable, "-c", PIPELINE, str(Path(__file__).parents[1])],
            env=environment_of(box) | settings, check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert (ended.returncode, ended.stdout.split()) == (0, ["ok", "True", "True"]), ended.stderr


def shown(ended: subprocess.CompletedProcess[str]) -> Mapping[str, tuple[Any, str]]:
    return {row["key"]: (row["value"], row["origin"]) for row in json.loads(ended.stdout)["settings"]}


@pytest.fixture
def passona_config(passona: Run, tmp_path: Path) -> Run:
    return lambda *arguments, **variables: passona("config", *arguments, **variables)


def test_config_shows_every_key_with_value_and_origin(passona_config: Run, tmp_path: Path) -> None:
    write(tmp_path / ".dlt", "config.toml", "[sources.passona]\npage_size = 50\nprivacy_fields = ['Town', 'Größe']\n")
    write(tmp_path / ".dlt", "secrets.toml", "[sources.passona]\napi_token = 'verysecret'\n")
    found = shown(passona_config("--json", SOURCES__PASSONA__RETAIN_DAYS="400"))
    assert list(found) == [*(key for key in TYPES if key != "account_names"), "destination_type", "credentials"]
    assert found["page_size"] == (50, ".dlt/config.toml")
    assert found["privacy_fields"] == (["Town", "Größe"], ".dlt/config.toml")
    assert found["api_token"] == ("***", ".dlt/secrets.toml")
    assert found["retain_days"] == (400, "SOURCES__PASSONA__RETAIN_DAYS")
    assert found["retain_mode"] == ("columns", "default")
    assert found["team_uuid"] == (None, "default")
    assert found["privacy_key"] == (None, "default")
    assert found["credentials"] == ("warehouse.duckdb", "default")


def test_config_masks_secrets_fits_a_terminal_and_lists_what_has_no_effect(passona_config: Run, tmp_path: Path) -> None:
    write(
        tmp_path / ".dlt",
        "config.toml",
        f"[sources.passona]\npublished = ['/{'x' * 100}.duckdb']\n[pipelines.passona]\ndev_mode = true\n",
    )
    ended = passona_config(
        SOURCES__PASSONA__API_TOKEN="verysecret", SOURCES__PASSONA__PRIVACY_KEY="verysecret" * 4, DBT_EMPTY="true",
        SOURCES__PASSONA__PRIVACY_FORMER_KEYS='["verysecret2verysecret2verysecret2"]', TIMEZONE="Asia/Tokyo",
        SOURCES__PASSONA__REQUESTS_PER_MINUTE="60", DESTINATION__WAREHOUSE__CREDENTIALS="postgresql://u:verysecret@h/d",
        DESTINATION__WAREHOUSE__DESTINATION_TYPE="postgres", SOURCES__PASSONA__PRIVACY="pseudonymous",
        PIPELINES__PASSONA__DATASET_NAME="verysecret",
    )  # fmt: skip
    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert max(map(len, lines)) <= 80
    assert "verysecret" not in ended.stdout
    assert [line.split() for line in lines if line.startswith("requests")] == [
        ["requests_per_minute", "60", "SOURCES__PASSONA__REQUESTS_PER_MINUTE"]
    ]
    without = lines[lines.index("without effect:") + 1 :]
    assert set(without) == {
        "DBT_EMPTY", "TIMEZONE", "PIPELINES__PASSONA__DATASET_NAME", "pipelines.passona.dev_mode in .dlt/config.toml"
    }  # fmt: skip


@pytest.mark.core
def test_config_shows_all_and_then_says_what_is_wrong(passona_config: Run) -> None:
    ended = passona_config(SOURCES__PASSONA__PAGE_SIZE="many", SOURCES__PASSONA__BASE_URL="https://u:verysecret@h/")
    assert ended.returncode == 2
    assert ended.stderr == "passona: SOURCES__PASSONA__PAGE_SIZE: expected a whole number, got something else\n"
    assert "many" in ended.stdout
    assert "verysecret" not in ended.stdout
    ended = passona_config(SOURCES__PASSONA__PRIVCY="minimal", SOURCE__PASSONA__PRIVACY="minimal")
    assert ended.returncode == 2
    assert ended.stderr.startswith("passona: SOURCES__PASSONA__PRIVCY: there is no such key")
    assert "SOURCE__PASSONA__PRIVACY: did you mean SOURCES__PASSONA__PRIVACY?" in ended.stdout
    ended = passona_config(DESTINATION__WAREHOUSE__CREDENTIALS="passona.duckdb")
    assert (ended.returncode, "passona.duckdb cannot be the warehouse" in ended.stderr) == (2, True)
