"""``--set path=value`` and its like: named values from the command line."""

import json
from collections.abc import Iterable
from typing import Any

from model.errors import ConfigError


def parse_pairs(pairs: Iterable[str], *, option: str = "--set") -> dict[str, Any]:
    """Return ``{"path": value}`` of ``path=value`` words; values are JSON, or else plain text.

    Raises:
        ConfigError: A word has no ``=``.
    """
    settings = {}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"{option} {pair!r} has no value; write it as path=value")
        try:
            settings[path] = json.loads(value)
        except json.JSONDecodeError:
            settings[path] = value
    return settings
