"""srcid align: a bank becomes a checkpoint that encodes."""

from pathlib import Path

import numpy as np
import pytest

from model.encoder import Encoder
from tests.app.cli.running import Run


@pytest.mark.slow  # ten thousand sentences pass MiniLM
def test_a_bank_becomes_a_checkpoint(
    run: Run, tmp_path: Path, sound: bytes, picture: bytes
) -> None:
    bank = tmp_path / "banks" / "mine"
    bank.mkdir(parents=True)
    lines = ["id,modality,label,title"]
    for label in ("oboe", "zebra"):
        for number in range(3):
            (bank / f"{label}{number}.wav").write_bytes(sound)
            (bank / f"{label}{number}.png").write_bytes(picture)
            lines += [
                f"{label}{number}.wav,audio,{label},",
                f"{label}{number}.png,image,{label},",
            ]
    (bank / "manifest.csv").write_text("\n".join(lines))
    out = tmp_path / "aligned"
    options = ("--out", out, "--codes", "50", "--cache", tmp_path / "features")
    ran = run("align", "--data", bank.parent, *options)
    assert ran.code == 0, ran.err
    assert "12 items of 2 classes" in ran.out
    codes = Encoder.from_pretrained(out).encode("a zebra on the grass")["text"]
    assert codes.shape == (2, 5)
    assert len(np.unique(codes)) > 2


def test_a_folder_without_a_bank_is_refused(run: Run, tmp_path: Path) -> None:
    ran = run("align", "--data", tmp_path, "--out", tmp_path / "aligned")
    assert ran.code == 2
    assert "or a folder of such folders" in ran.err
