"""What dlt's destinations have in common here."""

from __future__ import annotations

from typing import Any

from dlt.common.destination import Destination, DestinationCapabilitiesContext


class CachedCapabilities(Destination[Any, Any]):
    """A destination that finds out once what it is capable of.

    dlt asks a hundred times a load and reads its whole configuration for each answer: a seventh of a small load.
    """

    _known: DestinationCapabilitiesContext | None = None

    def capabilities(self, config: Any = None, naming: Any = None) -> DestinationCapabilitiesContext:
        if config is not None or naming is not None:
            return super().capabilities(config, naming)
        if self._known is None:
            self._known = super().capabilities()
        return self._known.copy()
