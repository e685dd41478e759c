"""Where the dbt project is that belongs to this package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# In a wheel the project stands inside the package, in the source tree beside it.
_PROJECTS = (_PACKAGE / "dbt_project", _PACKAGE.parent / "warehouse")


def project_folder() -> Path:
    """The dbt project that belongs to this package."""
    return next(folder for folder in _PROJECTS if (folder / "dbt_project.yml").is_file())
