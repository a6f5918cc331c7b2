"""The expected calibration error, where it is known."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibration import Said, bins, calibration_error, searched
from model.calibration import Calibration, Logistic, pair, write_calibration
from model.modality import Modality
from model.srcid import SRCID
from tests.media_maker import colours, make_video, tone


def test_hits_that_are_right_as_often_as_they_say_have_no_error() -> None:
    said = Said(np.repeat([0.25, 0.75], 400), np.tile([True, False, False, False], 200))
    said.right[400:] = ~said.right[400:]  # one in four, then three in four
    assert calibration_error(said) == pytest.approx(0)
    low, high = (own for own in bins(said) if own)
    assert (low.count, low.said, low.right) == (400, 0.25, 0.25)
    assert (high.count, high.said, high.right) == (400, 0.75, 0.75)


def test_the_error_is_weighted_by_hits() -> None:
    said = Said(np.array([0.9] * 3 + [0.1]), np.array([True, True, False, True]))
    assert calibration_error(said) == pytest.approx((3 * (0.9 - 2 / 3) + 0.9) / 4)
    certain = Said(np.array([1.0, 0.0]), np.array([True, False]))
    assert calibration_error(certain) == 0
    assert [own is not None for own in bins(certain)] == [True] + [False] * 8 + [True]


def test_searches_say_what_the_checkpoint_was_calibrated_to(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    model = SRCID.from_pretrained(tiny_checkpoint)
    model.save_pretrained(tmp_path / "calibrated")
    even = Logistic(slope=0, bias=0)  # every hit says one half
    matches = {
        pair(Modality.TEXT, target, layers="both", kind="mean"): even
        for target in (Modality.VIDEO, Modality.AUDIO)
    }
    write_calibration(tmp_path / "calibrated", Calibration(matches=matches, agreement={}))
    labels = {}
    for number in range(4):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(make_video(colours(2 + number), audio=tone(2, hertz=200 + 90 * number)))
        labels[path] = "a dog" if number < 3 else "a cat"
    found = searched(str(tmp_path / "calibrated"), labels, shown=10)
    assert found.keys() == {Modality.VIDEO, Modality.AUDIO}
    for said in found.values():
        assert said.probabilities.tolist() == [0.5] * 8  # two queries, four clips
        assert said.right.sum() == 3 + 1
        assert calibration_error(said) == pytest.approx(0)
