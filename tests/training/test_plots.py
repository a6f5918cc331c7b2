"""The pictures of a run: a panel for each kind of term, a curve for each term."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.plots import POINTS, _draw, _thinned, write_plots


def make_log(folder: Path, *, steps: int) -> list[dict[str, float]]:
    records = []
    for step in range(steps):
        record = {"step": step, "epoch": 0, "layers": 1 + (step > 5), "total": 1 / (1 + step)}
        record |= {f"layer1/mi/{m}": 0.1 * step for m in ("audio", "video", "text")}
        record |= {"layer1/codes_used": 10.0, "layer1/perplexity": 4.0}
        if step > 5:
            record |= {"layer2/mi/audio": 1.0, "layer2/codes_used": 5.0, "layer2/perplexity": 3.0}
        records.append(record)
    (folder / "log.jsonl").write_text("".join(json.dumps(own) + "\n" for own in records))
    return records


def test_losses_and_codebooks_are_drawn_and_validation_where_there_is_some(
    tmp_path: Path,
) -> None:
    make_log(tmp_path, steps=12)
    assert [path.name for path in write_plots(tmp_path)] == ["losses.png", "codebooks.png"]
    (tmp_path / "validation.jsonl").write_text(
        '{"step": 6, "epoch": 0, "text -> audio": 0.4, "mean": 0.4}\n'
    )
    written = write_plots(tmp_path)
    assert [path.name for path in written][2:] == ["validation.png"]
    for path in written:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 5  # something is drawn on it


def test_a_run_without_a_step_draws_nothing(tmp_path: Path) -> None:
    assert write_plots(tmp_path) == []


def test_each_kind_has_a_panel_and_each_term_a_curve(tmp_path: Path) -> None:
    records = make_log(tmp_path, steps=12)
    axes = list(_draw(["total", "layer1/mi/audio", "layer2/mi/audio"], records).axes)
    assert [axis.get_title() for axis in axes] == ["total", "mi"]
    curves = [line for line in axes[1].lines if len(line.get_xdata()) > 2]
    assert [line.get_label() for line in curves] == ["layer1 audio", "layer2 audio"]
    assert list(curves[1].get_xdata()) == [6, 7, 8, 9, 10, 11]
    joined = [line for line in axes[1].lines if len(line.get_xdata()) == 2]
    assert joined[0].get_xdata()[0] == 6


def test_a_long_curve_is_drawn_by_its_means() -> None:
    points = np.stack((np.arange(10_000.0), np.arange(10_000.0) * 2), 1)
    steps, values = _thinned(points)
    assert len(steps) == POINTS
    np.testing.assert_allclose(values, 2 * steps)
