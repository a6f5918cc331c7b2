"""``srcid evaluate``: the figures of a checkpoint."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint folder, a run, or a name.")],
    data: Annotated[Path, typer.Option(help="The bank: a folder with manifest.csv.")],
    suite: Annotated[
        Literal["demo12"], typer.Option(help="demo12: class retrieval across modalities.")
    ] = "demo12",
    split: Annotated[str, typer.Option(help="The split that is evaluated.")] = "test",
    cache: Annotated[Path, typer.Option(help="Where extracted features are kept.")] = Path(
        "runs/features"
    ),
) -> None:
    """Evaluate a checkpoint: retrieval, codebooks, disentanglement."""
    from model.srcid import SRCID
    from training.data.bank import load_bank
    from training.evaluation.bank import evaluate_bank
    from training.evaluation.disentanglement import disentanglement
    from training.evaluation.show import show

    run = Path(checkpoint) / "checkpoint"
    model = SRCID.from_pretrained(run if run.is_dir() else checkpoint)
    bank = load_bank(data, model.config, views=1, cache=cache)
    parts = {
        m: disentanglement(model, bank, m, fit_on="train", split=split) for m in model.modalities
    }
    print(f"{checkpoint} on {data.name}, {split} split\n")
    print(show(evaluate_bank(model, bank, split), parts))
