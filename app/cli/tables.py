"""Tables for people: aligned columns, nothing cut off, so that they can be piped."""

from collections.abc import Sequence


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print ``rows`` under ``header``, each column as wide as its widest value."""
    lines = [[str(value) for value in row] for row in (header, *rows)]
    widths = [max(len(value) for value in column) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (value.ljust(width) for value, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())
