"""Locate the dbt project of this package."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# In a wheel the project is inside the package, in the source tree beside it.
_PROJECTS = (_PACKAGE / "dbt_project", _PACKAGE.parent / "warehouse")


def project_folder() -> Path:
    return next(folder for folder in _PROJECTS if (folder / "dbt_project.yml").is_file())
