"""``srcid evaluate``: the figures of a checkpoint."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint folder, a run, or a name.")],
    data: Annotated[
        Path | None,
        typer.Option(help="The bank: a folder with manifest.csv; a run's own by default."),
    ] = None,
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
    from training.train import CHECKPOINT

    run = Path(checkpoint)
    if data is None:
        data = _trained_on(run)
    trained = run / CHECKPOINT
    model = SRCID.from_pretrained(trained if trained.is_dir() else checkpoint)
    bank = load_bank(data, model.config, views=1, cache=cache)
    bank.check_split(split, model.modalities)
    # CLUB is fitted to other items than it is judged on, where the bank has them.
    fit_on = "train" if any(entry.split == "train" for entry in bank.entries) else split
    bank.check_split(fit_on, model.modalities)
    parts = {
        m: disentanglement(model, bank, m, fit_on=fit_on, split=split) for m in model.modalities
    }
    print(f"{checkpoint} on {data.name}, {split} split\n")
    print(show(evaluate_bank(model, bank, split), parts))


def _trained_on(run: Path) -> Path:
    """Return the data of a run.

    Raises:
        ConfigError: ``run`` is no run folder, or its data was not on disk.
    """
    from model.errors import ConfigError
    from training.run_folder import read_config

    config = read_config(run)
    if config is None or config.data.folder is None:
        raise ConfigError(f"{run} does not tell what it was trained on: name a bank with --data")
    return config.data.folder
