"""What scores mean: curves, and the file beside a checkpoint."""

from pathlib import Path

import pytest

from model.calibration import Calibration, Logistic, pair, read_calibration, write_calibration
from model.checkpoint import fingerprint
from model.errors import CheckpointError
from model.modality import Modality


@pytest.fixture
def calibration() -> Calibration:
    key = pair(Modality.TEXT, Modality.AUDIO, layers="both", kind="mean")
    return Calibration(
        matches={key: Logistic(slope=10, bias=-5)},
        familiar={Modality.TEXT: Logistic(slope=-1, bias=8)},
        agreement={"1": {"audio ~ text": 0.5}},
    )


def probability(
    calibration: Calibration, *, error: float | None, target: Modality = Modality.AUDIO
) -> float | None:
    return calibration.probability(
        0.5, error=error, query=Modality.TEXT, target=target, layers="both", kind="mean"
    )


def test_a_curve_is_one_half_where_its_exponent_is_zero() -> None:
    curve = Logistic(slope=10, bias=-5)
    assert curve(0.5) == 0.5
    assert curve(1.0) + curve(0.0) == pytest.approx(1)
    assert Logistic(slope=1e9, bias=0)(-1.0) == pytest.approx(0)


def test_what_is_far_from_its_codes_matches_less(calibration: Calibration) -> None:
    assert probability(calibration, error=None) == 0.5
    assert probability(calibration, error=8) == 0.25
    assert probability(calibration, error=100) == pytest.approx(0)


def test_what_was_not_fitted_has_no_probability(calibration: Calibration) -> None:
    assert probability(calibration, error=None, target=Modality.VIDEO) is None


def test_the_file_is_read_as_it_was_written(calibration: Calibration, tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None
    write_calibration(tmp_path, calibration)
    assert read_calibration(tmp_path) == calibration
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]


def test_the_file_is_no_part_of_the_fingerprint(
    calibration: Calibration, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in tiny_checkpoint.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    write_calibration(folder, calibration)
    assert fingerprint(folder) == fingerprint(tiny_checkpoint)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    for text in ("{", '{"matches": {"x": 1}}', '{"matches": {}, "other": 1}'):
        (tmp_path / "calibration.json").write_text(text)
        with pytest.raises(CheckpointError, match="is not a calibration"):
            read_calibration(tmp_path)


@pytest.mark.parametrize(
    ("name", "layers"), [("compact", {"1", "2"}), ("default", {"1", "2"}), ("aligned", {"1"})]
)
def test_the_shipped_checkpoints_are_calibrated(name: str, layers: set[str]) -> None:
    import model.checkpoint as checkpoint

    calibration = read_calibration(checkpoint.SHIPPED / name)
    assert calibration is not None
    selections = len(layers) + 1  # both of two layers, or all of one
    assert len(calibration.matches) == 3 * 3 * selections * 3  # modalities twice, and kinds
    # Layer 2 of `default` is a residual: alone, its scores tell little across modalities.
    told = {k: v for k, v in calibration.matches.items() if name != "default" or ", 2, " not in k}
    assert all(curve.slope > 0 for curve in told.values())
    assert calibration.agreement.keys() == layers
