"""``srcid evaluate``: evaluate checkpoints."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CACHE, CacheOption, FormatOption, TableFormat

if TYPE_CHECKING:
    from model.srcid import SRCID
    from training.evaluation.figures import Figures
    from training.evaluation.paper import PaperRow


def evaluate(
    checkpoints: Annotated[
        list[str], typer.Argument(help="Checkpoint folders, run folders, or shipped names.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Bank (a folder with manifest.csv), output of `srcid extract`, composed scenes, "
            "or root of the archives; default: the run's own data."
        ),
    ] = None,
    table: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="Show only this table of the paper; not for banks."),
    ] = None,
    form: FormatOption = "text",
    codes: Annotated[
        Path | None,
        typer.Option(
            help="Write the meaning of the codes of one checkpoint to this folder (codes.csv, "
            "codes.png); not for banks."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split of a bank, or of extracted media, to evaluate.")
    ] = "test",
    cache: CacheOption = CACHE,
) -> None:
    """Evaluate checkpoints on the paper's tasks or on a bank.

    On a bank: retrieval, codebooks and disentanglement. On composed scenes and the archives: the
    tables of the paper, with its figures beside ours.
    """
    from model.errors import ConfigError
    from training.evaluation.benchmarks import is_benchmark

    if data is None:
        data = _trained_on(Path(checkpoints[0]))
    if codes and len(checkpoints) > 1:
        raise ConfigError(
            "--codes takes one checkpoint; run it once per checkpoint, with a folder for each"
        )
    if is_benchmark(data):
        _evaluate_benchmark(checkpoints, data, table=table, form=form)
        if codes:
            _write_codes(checkpoints[0], data, codes)
        return
    if table is not None or form != "text" or codes:
        raise ConfigError(
            f"{data} is a bank: --table, --format and --codes need composed scenes or the archives"
        )
    for checkpoint in checkpoints:
        _evaluate_bank(checkpoint, data, split=split, cache=cache)


def _evaluate_benchmark(
    checkpoints: list[str],
    data: Path,
    *,
    table: int | None,
    form: TableFormat,
) -> None:
    from training.evaluation.benchmarks import open_benchmark
    from training.evaluation.figures import all_figures, ceiling_figures, retrieval_figures
    from training.evaluation.results import all_tables, chosen_tables
    from training.evaluation.rows import checkpoint_rows
    from training.evaluation.tables import render

    rows: list[PaperRow] = []
    figures: dict[str, list[Figures]] = {}
    for checkpoint in dict.fromkeys(checkpoints):
        model = _load(checkpoint)
        benchmark = open_benchmark(data, model.config)
        if not figures and benchmark.missing:
            print(f"missing in {data}: {', '.join(benchmark.missing)}", file=sys.stderr)
        measure = retrieval_figures if table == 3 else all_figures
        figures[checkpoint] = [measure(model, benchmark)]
        rows += checkpoint_rows(
            checkpoint, recipe=_recipe(checkpoint), layers=model.config.num_layers
        )
    ceiling = {} if table in (2, 3) else ceiling_figures(benchmark)
    tables = (
        all_tables(rows, figures, benchmark.suite, ceiling=ceiling)
        if table is None
        else chosen_tables(table, rows, figures, benchmark.suite, ceiling=ceiling)
    )
    print("\n\n".join(render(shown, form) for shown in tables if shown.rows))


def _write_codes(checkpoint: str, data: Path, out: Path) -> None:
    from training.evaluation.benchmarks import open_benchmark
    from training.evaluation.meanings import meanings, write_meanings
    from training.evaluation.pictures import write_codebooks
    from training.evaluation.vocabulary import vocabularies

    model = _load(checkpoint)
    benchmark = open_benchmark(data, model.config)
    codes_found = meanings(model, benchmark)
    out.mkdir(parents=True, exist_ok=True)
    write_meanings(codes_found, out / "codes.csv")
    if clips := benchmark.paired():
        write_codebooks(codes_found, vocabularies(model, clips), out / "codes.png")
    print(f"what the codes mean: {out}", file=sys.stderr)


def _evaluate_bank(checkpoint: str, data: Path, *, split: str, cache: Path) -> None:
    from training.data.open import open_bank
    from training.evaluation.bank import evaluate_bank
    from training.evaluation.disentanglement import disentanglement
    from training.evaluation.show import show

    model = _load(checkpoint)
    bank = open_bank(data, model.config, cache)
    bank.check_split(split, model.modalities)
    # CLUB is fitted to other items than it is judged on, where the bank has them.
    fit_on = "train" if any(entry.split == "train" for entry in bank.entries) else split
    bank.check_split(fit_on, model.modalities)
    parts = {
        m: disentanglement(model, bank, m, fit_on=fit_on, split=split) for m in model.modalities
    }
    print(f"{checkpoint} on {data.name}, {split} split\n")
    print(show(evaluate_bank(model, bank, split), parts))


def _load(checkpoint: str) -> "SRCID":
    from model.srcid import SRCID
    from training.train import CHECKPOINT

    trained = Path(checkpoint) / CHECKPOINT
    return SRCID.from_pretrained(trained if trained.is_dir() else checkpoint, download=False)


def _recipe(checkpoint: str) -> str:
    """Return the recipe that a checkpoint was trained by; its own name where nothing tells."""
    from training.run_folder import read_config

    folder = Path(checkpoint)
    configs = (read_config(run) for run in (folder, folder.parent))
    return next((config.name for config in configs if config), checkpoint)


def _trained_on(run: Path) -> Path:
    """Return the data of a run.

    Raises:
        ConfigError: ``run`` is no run folder, or its data was not on disk.
    """
    from model.errors import ConfigError
    from training.run_folder import read_config

    config = read_config(run)
    if config is None or config.data.folder is None:
        raise ConfigError(
            f"{run} does not tell what it was trained on: name a bank, composed scenes or the root "
            "of the archives with --data"
        )
    return config.data.folder
