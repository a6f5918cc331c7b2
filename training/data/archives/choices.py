"""What can be asked for, and the error for everything else."""

from collections.abc import Collection

from model.errors import ConfigError


def check_choice(name: str, choices: Collection[str], *, what: str) -> None:
    """Check that ``name`` is one of ``choices``.

    Raises:
        ConfigError: It is not.
    """
    if name not in choices:
        raise ConfigError(f"unknown {what} {name!r}: choose one of {', '.join(choices)}")
