"""Which names of settings are wrong, which have no effect, and which are somebody else's."""

from __future__ import annotations

import pytest

from passona.config._lookup import Setting
from passona.config._misspellings import find_ineffective, find_misspelled
from passona.config.configuration import KEYS


def variable(name: str) -> Setting:
    *section, key = name.swapcase().split("__")
    return Setting(tuple(section), key, "x", name, is_variable=True)


def in_file(name: str) -> Setting:
    *section, key = name.split(".")
    return Setting(tuple(section), key, "x", ".dlt/config.toml")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SOURCES__PASSONA__PAGE_SIZ", "PAGE_SIZE"),
        ("SOURCES__PASSONA__PAGESIZE", "PAGE_SIZE"),
        ("SOURCES__PASSONA__PAGE__SIZE", "PAGE_SIZE"),
        ("SOURCES__PASSONA___PAGE_SIZE", "PAGE_SIZE"),
        ("SOURCES__PASSONA__RETAIN_DAY", "RETAIN_DAYS"),
        ("SOURCES__PASSONA__retain_days", "RETAIN_DAYS"),
        ("SOURCES__PASSONA__TOKEN", "API_TOKEN"),
        ("SOURCES__PASSONA__PASSONA__PRIVACY", None),
        ("SOURCES__PASSONA__PRIVACY__MODE", "PRIVACY"),
        ("SOURCES__PASSONA__", "API_TOKEN"),
        ("SOURCES__PASSONA", "API_TOKEN"),
        ("SOURCE__PASSONA__PRIVACY", "PRIVACY"),
        ("SOURCES__PASONA__PRIVACY", "PRIVACY"),
        ("SOURCES__PASSSONA__PRIVACY", "PRIVACY"),
        ("SOURCES__PASSONAS__PRIVACY", "PRIVACY"),
        ("RESOURCES__PASSONA__PRIVACY", "PRIVACY"),
        ("SOURCES_PASSONA_PRIVACY", "PRIVACY"),
        ("SOURCES__PASSONA_PRIVACY", "PRIVACY"),
        ("SOURCES_PASSONA__PRIVACY", "PRIVACY"),
        ("SOURCES.PASSONA.PRIVACY", "PRIVACY"),
        ("PASSONA__PRIVACY", "PRIVACY"),
        ("PASSONA__SOURCES__PASSONA__PRIVACY", "PRIVACY"),
        ("sources__passona__privacy", "PRIVACY"),
        ("Sources__Passona__Privacy", "PRIVACY"),
    ],
)
def test_a_variable_that_is_nearly_ours_is_wrong(name: str, meant: str | None) -> None:
    found = find_misspelled([variable(name)], KEYS)
    assert found.keys() == {name}
    assert meant is None or found[name] == f"SOURCES__PASSONA__{meant}"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sources.passona.privcy", "sources.passona.privacy"),
        ("sources.passona.retain_day", "sources.passona.retain_days"),
        ("sources.passona.Privacy", "sources.passona.privacy"),
        ("sources.passona.timezone.name", "sources.passona.timezone"),
        ("sources.passona", "sources.passona.api_token"),
        ("source.passona.privacy", "sources.passona.privacy"),
        ("sources.pasona.privacy", "sources.passona.privacy"),
        ("sources.Passona.privacy", "sources.passona.privacy"),
        ("Sources.passona.privacy", "sources.passona.privacy"),
        ("sources_passona.privacy", "sources.passona.privacy"),
        ("passona.privacy", "sources.passona.privacy"),
        ("destination.warehouse.credential", "destination.warehouse.credentials"),
        ("destination.warehouse.type", None),
        ("destination.warehous.credentials", "destination.warehouse.credentials"),
        ("destinations.warehouse.credentials", "destination.warehouse.credentials"),
        ("destination_warehouse.credentials", "destination.warehouse.credentials"),
    ],
)
def test_a_key_in_a_file_that_is_nearly_ours_is_wrong(name: str, meant: str | None) -> None:
    assert find_misspelled([in_file(name)], KEYS) == ({f"{name} in .dlt/config.toml": meant} if meant else {})


@pytest.mark.parametrize(
    "name",
    [
        "SOURCES__PASSONA__TIMEZONE", "SOURCES__PASSONA__DATA_WRITER__FILE_MAX_ITEMS", "SOURCES__PASSONA__SCHEMA__NAMING",
        "SOURCES__PASSONA__CLICKS__SCHEMA__NAMING", "SOURCES__PASSONA__ROW_ISSUES__PARALLELIZED",
        "SOURCES__STRIPE__API_TOKEN", "SOURCES__PERSONA__API_TOKEN", "SOURCES__PASSONA_EU__TIMEZONE",
        "SOURCES__MY_PASSONA__TIMEZONE", "SOURCES__PASSONA2__TIMEZONE", "SOURCES__FILESYSTEM__CREDENTIALS",
        "DESTINATION__WAREHOUSE__CREDENTIALS", "DESTINATION__WAREHOUSE__CREDENTIALS__PASSWORD",
        "DESTINATION__WAREHOUSE__CREATE_INDEXES", "DESTINATION__DATA_WAREHOUSE__CREDENTIALS",
        "DESTINATION__WAREHOUSE2__CREDENTIALS", "DESTINATION__DUCKDB__CREDENTIALS", "DESTINATION_WAREHOUSE",
        "DESTINATION_WAREHOUSE_CITY", "PIPELINES__PASSONA__DATASET_NAME", "PASSONA_HOME", "PASSONA", "TIMEZONE",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE", "RUNTIME__LOG_LEVEL", "PATH", "_", "__", "",
    ],
)  # fmt: skip
def test_what_is_right_or_somebody_elses_is_not_wrong(name: str) -> None:
    assert find_misspelled([variable(name), in_file(name.lower().replace("__", "."))], KEYS) == {}


@pytest.mark.parametrize(
    "name",
    [
        "TIMEZONE", "API_TOKEN", "RETAIN_DAYS", "PASSONA_TIMEZONE", "SOURCES__TIMEZONE", "DESTINATION__CREDENTIALS",
        "DEV_MODE", "FULL_REFRESH", "DATASET_NAME", "CREDENTIALS", "PIPELINES__PASSONA__DATASET_NAME", "PIPELINES__DEV_MODE",
        "RUNTIME__SENTRY_DSN", "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID", "LOAD__WORKERS", "SCHEMA__NAMING",
        "DATA_WRITER__FILE_MAX_ITEMS", "DBT_EMPTY", "DBT_ENGINE_TARGET", "DLT_DEFAULT_NAMING_MODULE",
        "DESTINATION__WAREHOUSE__CREATE_INDEXES", "SOURCES__PASSONA__SCHEMA__NAMING",
    ],
)  # fmt: skip
def test_settings_without_effect_are_known(name: str) -> None:
    assert [setting.name for setting in find_ineffective([variable(name)], KEYS)] == [name]


@pytest.mark.parametrize(
    "name",
    [
        "SOURCES__PASSONA__TIMEZONE", "DESTINATION__WAREHOUSE__CREDENTIALS__HOST", "DLT_PROJECT_DIR", "PATH", "HOME",
        "SOURCES__STRIPE__API_TOKEN", "DESTINATION__DUCKDB__CREDENTIALS", "PIPELINES__CHESS__DATASET_NAME",
        "SOURCES__PASSONA__PRIVCY", "SOURCES__PASSONA", "PASSONA_HOME", "AIRFLOW__CORE__TIMEZONE",
    ],
)  # fmt: skip
def test_settings_with_effect_and_those_of_others_are_not_among_them(name: str) -> None:
    assert find_ineffective([variable(name)], KEYS) == []
