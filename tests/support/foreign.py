"""Variables that somebody has set for other programs: each would change a load or a build if it were heeded."""

from __future__ import annotations

from passona.config.configuration import KEYS, SOURCE

NOWHERE = "/nowhere/at/all"
# A loopback port that nobody listens at.
NOBODY = "http://127.0.0.1:9/"

# The bare names of our keys.
OF_OTHERS = {
    "api_token": "of-another-tool", "base_url": NOBODY, "timezone": "Asia/Tokyo", "privacy": "minimal",
    "team_uuid": "00000000-0000-4000-8000-000000000000", "page_size": "1", "concurrency": "abc", "retain_days": "31",
    "requests_per_minute": "1", "settle_days": "0", "retry_pause": "59", "request_timeout": "0.1",
    "clicks_settle_days": "0", "privacy_key": "0" * 32, "privacy_former_keys": "[]", "privacy_fields": '["Town"]',
    "retain_mode": "rows", "account_names": '["of_others"]', "published": f'["{NOWHERE}"]',
}  # fmt: skip
BARE = {key.upper(): OF_OTHERS[key] for key in KEYS[SOURCE]}

OF_DLT = {
    "DEV_MODE": "true", "FULL_REFRESH": "true", "REFRESH": "drop_sources", "RESTORE_FROM_DESTINATION": "false",
    "DATASET_NAME": "sms", "DATASET_NAME_LAYOUT": "other_%s", "PIPELINE_NAME": "other", "PIPELINES_DIR": NOWHERE,
    "DESTINATION_TYPE": "postgres", "DESTINATION_NAME": "other", "CREDENTIALS": "postgresql://u:p@127.0.0.1:9/d",
    "IMPORT_SCHEMA_PATH": NOWHERE, "EXPORT_SCHEMA_PATH": NOWHERE, "USE_SINGLE_DATASET": "false", "PROGRESS": "log",
    "LOADER_FILE_FORMAT": "jsonl", "WRITE_DISPOSITION": "append", "LOG_LEVEL": "DEBUG", "ZONE": "Asia/Tokyo",
    "FRESH": "true", "UNKNOWN": '["clicks"]', "WORKERS": "abc",
    "SCHEMA__NAMING": "direct", "SCHEMA__JSON_NORMALIZER": '{"module": "other"}', "MAX_TABLE_NESTING": "0",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID": "true", "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
    "NORMALIZE__WORKERS": "3", "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "1", "DATA_WRITER__BUFFER_MAX_ITEMS": "1",
    "EXTRACT__WORKERS": "abc", "LOAD__WORKERS": "abc", "LOAD__RAISE_ON_FAILED_JOBS": "false",
    "LOAD__TRUNCATE_STAGING_DATASET": "false", "LOAD__DELETE_COMPLETED_JOBS": "false",
    "RUNTIME__LOG_LEVEL": "DEBUG", "RUNTIME__LOG_FORMAT": "JSON", "RUNTIME__DLTHUB_TELEMETRY": "true",
    "RUNTIME__DLTHUB_TELEMETRY_ENDPOINT": NOBODY, "RUNTIME__SENTRY_DSN": "http://k@127.0.0.1:9/1",
    "RUNTIME__SLACK_INCOMING_HOOK": NOBODY, "RUNTIME__INTERCEPT_SIGNALS": "true", "RUNTIME__REQUEST_TIMEOUT": "0.001",
    "PIPELINES__PASSONA__DATASET_NAME": "sms", "PIPELINES__PASSONA__DEV_MODE": "true", "PIPELINES__DEV_MODE": "true",
    "DESTINATION__CREDENTIALS": f"{NOWHERE}/x.duckdb", "DESTINATION__DUCKDB__CREDENTIALS": f"{NOWHERE}/x.duckdb",
    "DESTINATION__WAREHOUSE__STAGING_DATASET_NAME_LAYOUT": "passona",
    "DESTINATION__WAREHOUSE__ENABLE_DATASET_NAME_NORMALIZATION": "false", "DESTINATION__WAREHOUSE__CREATE_INDEXES": "true",
    "SOURCES__TIMEZONE": "Asia/Tokyo", "SOURCES__ZONE": "Asia/Tokyo", "SOURCES__API_TOKEN": "of-another-source",
    "SOURCES__PASSONA__SCHEMA__NAMING": "direct", "SOURCES__PASSONA__DATA_WRITER__FILE_MAX_ITEMS": "1",
    "PROVIDERS__ENABLE_GOOGLE_SECRETS": "false",
    "DLT_DEFAULT_NAMING_MODULE": "direct", "DLT_DEFAULT_NAMING_NAMESPACE": "nowhere", "DLT_DLT_ID_LENGTH_BYTES": "1",
    "DLT_USE_JSON": "simplejson", "DLT_JSON_TYPED_PUA_START": "0xf126", "DLT_DISABLE_PLUGINS": "true",
    "DLT_DATA_DIR": NOWHERE, "DLT_LOCAL_DIR": NOWHERE, "DLT_PROJECT_DIR": NOWHERE, "DLT_CONFIG_FOLDER": "other",
    "DLT_INTERVAL_START": "2001-01-01T00:00:00Z", "DLT_INTERVAL_END": "2001-01-02T00:00:00Z",
    "DLT_ALLOW_EXTERNAL_SCHEDULERS": "True",
}  # fmt: skip

OF_DBT = {
    "DBT_EMPTY": "true", "DBT_PROFILE": "other", "DBT_TARGET": "other", "DBT_RESOURCE_TYPES": "test",
    "DBT_EXCLUDE_RESOURCE_TYPES": "model", "DBT_DEFER": "true", "DBT_STATE": NOWHERE, "DBT_DEFER_STATE": NOWHERE,
    "DBT_FAVOR_STATE": "true", "DBT_FULL_REFRESH": "true", "DBT_FAIL_FAST": "true", "DBT_WARN_ERROR": "true",
    "DBT_WARN_ERROR_OPTIONS": '{"error": "all"}', "DBT_PROJECT_DIR": NOWHERE, "DBT_PROFILES_DIR": NOWHERE,
    "DBT_TARGET_PATH": NOWHERE, "DBT_LOG_PATH": NOWHERE, "DBT_LOG_LEVEL": "debug", "DBT_LOG_FORMAT": "json",
    "DBT_PRINT": "true", "DBT_QUIET": "false", "DBT_DEBUG": "true", "DBT_SAMPLE": "3 days", "DBT_INTROSPECT": "false",
    "DBT_EVENT_TIME_START": "2001-01-01", "DBT_EVENT_TIME_END": "2001-01-02", "DBT_INDIRECT_SELECTION": "empty",
    "DBT_STORE_FAILURES": "true", "DBT_SINGLE_THREADED": "true", "DBT_VERSION_CHECK": "true", "DBT_WRITE_JSON": "true",
    "DBT_PARTIAL_PARSE": "true", "DBT_PARTIAL_PARSE_FILE_PATH": NOWHERE, "DBT_SEND_ANONYMOUS_USAGE_STATS": "true",
    "DBT_VARS": '{"timezone": "Asia/Tokyo"}', "DBT_THREADS": "8", "DBT_HOST": NOBODY, "DBT_MACRO_DEBUGGING": "write",
    "DBT_RECORDER_MODE": "replay", "DBT_ENGINE_RECORDER_MODE": "replay", "DBT_RECORDER_FILE_PATH": NOWHERE,
    "DBT_USE_EXPERIMENTAL_PARSER": "true", "DBT_ENGINE_EMPTY": "true",
}  # fmt: skip

OF_PYTHON = {
    "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0", "PYTHONDEVMODE": "1", "PYTHONHASHSEED": "1", "PYTHONTZPATH": NOWHERE,
    "PYTHONSAFEPATH": "1", "PYTHONSTARTUP": NOWHERE, "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONINTMAXSTRDIGITS": "640", "PYTHONUNBUFFERED": "1", "PYTHONASYNCIODEBUG": "1", "PYTHONBREAKPOINT": "nothing",
    "PYTHONPATH": NOWHERE, "PYTHONPYCACHEPREFIX": NOWHERE, "PYTHONINSPECT": "1",
}  # fmt: skip

# Of DuckDB, Arrow, libpq, and of the system.
OF_DATABASES = {
    "TZ": "Asia/Tokyo", "LC_ALL": "C", "LC_TIME": "de_DE.UTF-8", "MOTHERDUCK_TOKEN": "of-another-tool",
    "motherduck_token": "of-another-tool", "DUCKDB_JE_MALLOC_CONF": "narenas:1", "ARROW_USER_SIMD_LEVEL": "NONE",
    "ARROW_PRE_0_15_IPC_FORMAT": "1", "ARROW_PRE_1_0_METADATA_VERSION": "1", "OMP_NUM_THREADS": "1",
    "PGOPTIONS": "-c search_path=other -c default_transaction_read_only=on", "PGTZ": "Asia/Tokyo", "PGHOST": "127.0.0.9",
    "PGDATABASE": "other", "PGSERVICE": "other", "PGCLIENTENCODING": "LATIN1", "PGDATESTYLE": "German",
}  # fmt: skip

FOREIGN = BARE | OF_DLT | OF_DBT | OF_PYTHON | OF_DATABASES
