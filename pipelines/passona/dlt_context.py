"""What dlt sees of a configuration: a document that it is handed, and nothing else.

dlt looks a key up in its section, then in every shorter one, and at last by its bare name, in variables and files
alike. So DEV_MODE=true, made for another pipeline, would send a load to another schema. In the blocks of `handed`
there is one provider, with one document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import ConfigProvider
from dlt.common.configuration.providers.doc import BaseDocProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import RunContext

# What holds whatever dlt is used for. Nothing is sent to dlt's makers, because only the contract's requests are; its
# log quotes the database's errors, which may quote a row; vaults are asked by `lookup`, for what is ours.
_ALWAYS = {
    "runtime": {"dlthub_telemetry": False, "log_level": "CRITICAL", "intercept_signals": False},
    "providers": {"enable_airflow_secrets": False},
}
# What a load rests on. The load id in every row is what the ledger is believed by; a copy of the last load must not
# stay in the staging tables, nor in the files of packages that are in. A job that fails is given up at once, for the
# run to say so. Jobs one after another need a third less memory than side by side, and on one connection no more time.
LOADING = {
    "normalize": {"parquet_normalizer": {"add_dlt_load_id": True}},
    "load": {
        "truncate_staging_dataset": True,
        "delete_completed_jobs": True,
        "raise_on_max_retries": 1,
        "workers": 1,
    },
}


class _Document(BaseDocProvider):
    @property
    def name(self) -> str:
        return "passona"

    @property
    def supports_secrets(self) -> bool:
        return True


class _Context(RunContext):
    """dlt's usual one, with one provider."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(None)
        self._document = document

    def initial_providers(self) -> list[ConfigProvider]:
        return [_Document({**_ALWAYS, **self._document})]


@contextmanager
def handed(document: Mapping[str, Any]) -> Iterator[list[ConfigProvider]]:
    """dlt has this configuration in the block, and the one before after it; its providers, vaults included.

    For the whole process: other pipelines of it must not run meanwhile.
    """
    with Container().injectable_context(PluggableRunContext(_Context(document))) as context:
        yield context.providers.providers
