"""A naming convention of a user's own: all in capitals, as the catalogs of some databases have it."""

from __future__ import annotations

from dlt.common.normalizers.naming.naming import NamingConvention as Base


class NamingConvention(Base):
    PATH_SEPARATOR = "__"

    def normalize_identifier(self, identifier: str) -> str:
        return super().normalize_identifier(identifier).upper()

    @property
    def is_case_sensitive(self) -> bool:
        return True
