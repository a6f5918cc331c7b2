"""Finds the weights that arrive as Python packages, without importing the packages."""

from importlib.util import find_spec
from pathlib import Path

from model.errors import ConfigError


def packaged(package: str, path: str) -> Path:
    """Return the file or folder ``path`` inside the installed ``package``.

    Raises:
        ConfigError: The package is not installed, or is another version.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / path).exists():
            return Path(folder) / path
    raise ConfigError(
        f"the weights {path} of the package {package} are not installed; "
        "install this project with its dependencies, in the versions of requirements.lock"
    )
