"""The pictures of a run: a panel for each kind of term, a curve for each term."""

import json
from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from training.plots import COLOURS, POINTS, _draw, _thinned, write_plots


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
    assert [line.get_label() for line in curves] == ["layer 1 audio", "layer 2 audio"]
    assert list(curves[1].get_xdata()) == [6, 7, 8, 9, 10, 11]
    joined = [line for line in axes[1].lines if len(line.get_xdata()) == 2]
    assert joined[0].get_xdata()[0] == 6
    for axis in axes:
        assert axis.get_ylabel()
        assert axis.get_legend().get_texts()[-1].get_text() == "layer 2 joins"


def test_what_is_of_no_modality_has_no_modalitys_colour(tmp_path: Path) -> None:
    records = make_log(tmp_path, steps=12)
    names = ["layer1/perplexity", "layer2/perplexity", "layer1/mi/audio"]
    layers, by_modality = _draw(names, records).axes
    colours = {to_hex(line.get_color()) for line in layers.lines[:2]}
    assert len(colours) == 2
    assert not colours & set(map(to_hex, COLOURS.values()))
    assert by_modality.lines[0].get_color() == COLOURS["audio"]


def test_small_gradients_are_seen_beside_large_ones() -> None:
    names = ["gradient_norm/encoders", "gradient_norm/decoders"]
    records = [dict.fromkeys(names, 1.0) | {"step": step} for step in range(2)]
    (axis,) = _draw(names, records).axes
    assert axis.get_yscale() == "log"


def test_the_figures_of_validation_share_a_panel() -> None:
    records = [{"step": step, "text -> audio": 0.4, "mean": 0.4} for step in (6, 12)]
    (axis,) = _draw(["mean", "text -> audio"], records).axes
    assert (axis.get_title(), axis.get_ylabel()) == ("validation", "class mAP")
    assert [line.get_label() for line in axis.lines] == ["mean", "text -> audio"]


def test_a_long_curve_is_drawn_by_its_means() -> None:
    points = np.stack((np.arange(10_000.0), np.arange(10_000.0) * 2), 1)
    steps, values = _thinned(points)
    assert len(steps) == POINTS
    np.testing.assert_allclose(values, 2 * steps)
