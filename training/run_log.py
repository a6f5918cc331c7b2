"""The log of a run: one JSON line a step, and a progress bar for people."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from tqdm import tqdm

LOG = "log.jsonl"


class RunLog:
    """Writes ``log.jsonl`` in the run folder and shows how far the run is.

    A resumed run takes back the lines of the steps that it is about to repeat.
    """

    def __init__(self, folder: Path, *, done: int, total: int) -> None:
        path = folder / LOG
        kept = path.read_text().splitlines(keepends=True)[:done] if path.is_file() else []
        path.write_text("".join(kept))
        self.file = path.open("a")
        self.bar = tqdm(total=total, initial=done, desc="training", unit="step")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()
        self.file.close()

    def step(self, terms: dict[str, float], *, epoch: int, layers: int) -> None:
        """Log one step's terms."""
        self.file.write(json.dumps({"epoch": epoch, "layers": layers, **terms}) + "\n")
        self.bar.update()
        self.bar.set_postfix_str(f"loss {terms['total']:.2f}, {layers} layer(s)", refresh=False)

    def flush(self) -> None:
        """Put what was logged on disk; called where the state is saved."""
        self.file.flush()
