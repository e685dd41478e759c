"""Give dlt one document as its whole configuration.

dlt looks up a key in its section, then in each shorter section, and finally by its bare name, in variables and files.
So DEV_MODE=true, set for another pipeline, would send a load to another schema. Inside `use`, dlt has one provider with
one document.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import ConfigProvider
from dlt.common.configuration.providers.doc import BaseDocProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import RunContext

# For every use of dlt. No telemetry, because only the contract's requests are allowed. No log, because it quotes errors
# of the database, which may quote a row. No handling of signals, because dlt would only record them. No Airflow,
# because `_lookup` reads vaults.
_ALWAYS = {
    "runtime": {"dlthub_telemetry": False, "log_level": "CRITICAL", "intercept_signals": False},
    "providers": {"enable_airflow_secrets": False},
}
# For loads. No copy of the rows stays in staging tables or in files of a loaded package. A failed job is not retried,
# so that the run can report it. Jobs run one by one: a third less memory and, on one connection, no slower.
LOADING = {
    "load": {"truncate_staging_dataset": True, "delete_completed_jobs": True, "raise_on_max_retries": 1, "workers": 1}
}


class _Document(BaseDocProvider):
    @property
    def name(self) -> str:
        return "passona"

    @property
    def supports_secrets(self) -> bool:
        return True


class _Context(RunContext):
    """dlt's default context, but with a single provider."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(None)
        self._document = document

    def initial_providers(self) -> list[ConfigProvider]:
        return [_Document({**_ALWAYS, **self._document})]


@contextmanager
def use(document: Mapping[str, Any]) -> Iterator[list[ConfigProvider]]:
    """Give dlt this configuration; restore the former one afterwards. Yield its providers, with vaults it enables.

    Applies to the whole process: no other pipeline may run in it meanwhile.
    """
    container, own = Container(), PluggableRunContext(_Context(document))
    former = container[PluggableRunContext] if PluggableRunContext in container else None  # noqa: SIM401  # it has no get
    try:
        with container.injectable_context(own) as context:
            yield context.providers.providers
    finally:
        # dlt leaves its context in place if a vault cannot be opened.
        if PluggableRunContext in container and container[PluggableRunContext] is own:
            if former is None:
                del container[PluggableRunContext]
            else:
                container[PluggableRunContext] = former
