"""What commands print: tables for people, JSON for programs."""

import json
from collections.abc import Sequence

from pydantic import BaseModel


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print ``rows`` under ``header``, each column as wide as its widest value.

    Nothing is truncated, so the output can be piped. Control characters are printed as escapes.
    """
    lines = [[_printable(str(value)) for value in row] for row in (header, *rows)]
    widths = [max(len(value) for value in column) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (value.ljust(width) for value, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print a response of the API, or a list of them, on one line of JSON."""
    if isinstance(value, BaseModel):
        print(value.model_dump_json())
    else:
        print(json.dumps([model.model_dump(mode="json") for model in value]))
