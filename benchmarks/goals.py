"""Goals, a line each: what a benchmark ends with, and what the summary is made of."""

import re
from typing import NamedTuple, Self

LINE = re.compile(
    r"- (?P<id>\w+), (?P<what>.+): (?P<value>-?[\d.,]+)(?P<unit> \S+)? "
    r"\(goal: at (?P<way>least|most) (?P<bound>[\d.,]+)(?: \S+)?; (?:met|missed)\)"
)


class Goal(NamedTuple):
    """What was wanted of a program, and what was measured."""

    id: str  # P1 to P9, or step
    what: str
    value: float
    bound: float
    is_least: bool  # whether more is better: the bound is the least; else the most
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the value is within the bound."""
        return self.value >= self.bound if self.is_least else self.value <= self.bound

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        way = "least" if self.is_least else "most"
        outcome = "met" if self.is_met else "missed"
        return (
            f"- {self.id}, {self.what}: {number(self.value)}{unit} "
            f"(goal: at {way} {number(self.bound)}{unit}; {outcome})"
        )

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Return the goal that a line tells of; None where it tells of none."""
        found = LINE.fullmatch(line.strip())
        if found is None:
            return None
        value, bound = (float(found[name].replace(",", "")) for name in ("value", "bound"))
        unit = (found["unit"] or "").strip()
        return cls(found["id"], found["what"], value, bound, found["way"] == "least", unit)


def number(value: float) -> str:
    """Return a number to three places behind the point, or to none where it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}".rstrip("0").rstrip(".")
