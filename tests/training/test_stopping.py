"""Early stopping: the best epoch is the checkpoint, and the test split is never looked at."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import training.train
from model.errors import ConfigError
from model.srcid import SRCID
from training.config import StoppingConfig, TrainConfig
from training.data.bank import Bank, load_bank
from training.recipes import override
from training.stopping import Stopping, validate
from training.train import train


def observed(stopping: Stopping, figures: list[float], layers: list[int]) -> list[bool]:
    """Tell for each epoch whether it was the best so far."""
    found = []
    for epoch, (figure, taking_part) in enumerate(zip(figures, layers, strict=True)):
        found.append(stopping.observe(figure, epoch=epoch, layers=taking_part))
    return found


def test_it_waits_for_a_better_epoch_as_long_as_its_patience() -> None:
    stopping = Stopping(StoppingConfig(patience=2), 1)
    assert observed(stopping, [0.1, 0.3, 0.3], [1, 1, 1]) == [True, True, False]
    assert not stopping.done
    observed(stopping, [0.2], [1])
    assert stopping.done
    assert (stopping.best_epoch, stopping.best) == (1, 0.3)


def test_a_better_epoch_ends_the_wait() -> None:
    stopping = Stopping(StoppingConfig(patience=2), 1)
    observed(stopping, [0.3, 0.2, 0.4, 0.1], [1, 1, 1, 1])
    assert not stopping.done


def test_without_patience_it_never_stops() -> None:
    stopping = Stopping(StoppingConfig(), 1)
    observed(stopping, [0.3] + [0.1] * 50, [1] * 51)
    assert not stopping.done


def test_all_starts_anew_when_layer_2_joins() -> None:
    """A better figure of layer 1 alone must not keep the joined network from the checkpoint."""
    stopping = Stopping(StoppingConfig(patience=1), 2)
    assert observed(stopping, [0.9, 0.5, 0.4], [1, 1, 1]) == [True, False, False]
    assert not stopping.done  # not before layer 2 takes part
    assert observed(stopping, [0.2, 0.1], [2, 2]) == [True, False]
    assert stopping.done


def test_a_restored_one_goes_on_as_if_never_stopped() -> None:
    first, second = (Stopping(StoppingConfig(patience=2), 1) for _ in range(2))
    observed(first, [0.3, 0.1], [1, 1])
    second.restore(first.state())
    observed(second, [0.2], [1])
    assert second.done


def test_patience_without_a_validation_split_is_refused(tiny_run: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"set data\.validation > 0"):
        override(tiny_run, {"stopping.patience": 2})
    with pytest.raises(ValidationError):
        TrainConfig(**tiny_run.model_dump() | {"stopping": StoppingConfig(patience=1)})


@pytest.fixture(scope="module")
def bank(tiny_run: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    assert tiny_run.data.folder is not None
    cache = tmp_path_factory.mktemp("features")
    return load_bank(tiny_run.data.folder, tiny_run.model, views=1, cache=cache)


def test_only_the_validation_split_is_looked_at(tiny_run: TrainConfig, bank: Bank) -> None:
    split = bank.with_validation(0.5)
    kept = {e.id for e in split.entries if e.split == "validation"}
    assert 0 < len(kept) < len(split.entries)
    alone = Bank(split.entries, {own: bank.features[own] for own in kept})  # no other features
    model = SRCID(tiny_run.model).train()
    figures = validate(model, alone, num_layers=2)
    assert figures["mean"] == pytest.approx(
        sum(value for name, value in figures.items() if name != "mean") / 4
    )
    assert all(0 < value <= 1 for value in figures.values())
    assert model.training


def test_a_validation_split_without_items_is_refused(tiny_run: TrainConfig, bank: Bank) -> None:
    with pytest.raises(ConfigError, match=r"raise data\.validation"):
        validate(SRCID(tiny_run.model), bank.with_validation(0.05), num_layers=1)


def test_a_run_keeps_its_best_epoch_and_stops_early(
    tiny_run: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layer 2 joins in epoch 1; epoch 2 is the best after that, epochs 3 and 4 are not."""
    figures = iter([0.9, 0.2, 0.6, 0.5, 0.4, 1.0])
    weights: list[dict[str, torch.Tensor]] = []

    def scripted(model: SRCID, bank: Bank, *, num_layers: int) -> dict[str, float]:
        weights.append({name: own.clone() for name, own in model.state_dict().items()})
        return {"mean": next(figures)}

    monkeypatch.setattr(training.train, "validate", scripted)
    monkeypatch.setattr(training.train, "write_plots", lambda folder: [])
    settings = {"data.validation": 0.25, "stopping.patience": 2, "epochs": 6}
    config = override(tiny_run, settings | {"data.clips_per_epoch": 16})
    checkpoint = train(config, tmp_path / "run")

    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    assert [json.loads(line)["mean"] for line in lines] == [0.9, 0.2, 0.6, 0.5, 0.4]
    kept = SRCID.from_pretrained(checkpoint).state_dict()
    best = {name: own.half().float() for name, own in weights[2].items()}
    assert all(torch.equal(kept[name].float(), best[name]) for name in best)
    assert train(config, tmp_path / "run", resume=True) == checkpoint  # it stays stopped
    assert len((tmp_path / "run" / "validation.jsonl").read_text().splitlines()) == 5


def test_a_run_is_validated_for_real(tiny_run: TrainConfig, tmp_path: Path) -> None:
    config = override(tiny_run, {"data.validation": 0.25, "data.clips_per_epoch": 16, "epochs": 2})
    train(config, tmp_path / "run")
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["step"] for record in records] == [2, 4]
    assert set(records[0]) > {"epoch", "text -> audio", "mean"}
    assert (tmp_path / "run" / "validation.png").is_file()
