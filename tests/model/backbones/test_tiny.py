import subprocess
import sys

import numpy as np
import pytest
import torch

from model.backbones.tiny import TinyAudio, TinyText, TinyVideo
from model.media import SAMPLE_RATE, Clip

FEATURES = """
import numpy as np
from model.backbones.tiny import TinyAudio, TinyText, TinyVideo
from model.media import Clip

clip = Clip(np.full((1, 1, 16, 16, 3), 200, np.uint8), np.full(16000, 0.5, np.float32), 1.0)
pairs = ((TinyAudio(), clip), (TinyVideo(), clip), (TinyText(), "a dog barks"))
features = [own.extract([own.preprocess(item)])[0].numpy().tobytes().hex() for own, item in pairs]
print(*features)
"""


def test_features_are_the_same_in_every_process(capsys: pytest.CaptureFixture[str]) -> None:
    """Python's own hash of a word, for one, is another in each process."""
    exec(FEATURES, {})
    done = subprocess.run(
        [sys.executable, "-c", FEATURES], check=True, capture_output=True, text=True
    )
    assert capsys.readouterr().out == done.stdout
    assert len(done.stdout.split()) == 3


def test_loudness_scales_the_features_of_sound() -> None:
    backbone = TinyAudio()
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32)
    loud, soft = (backbone(backbone.preprocess(Clip(None, w, 1.0))) for w in (wave, wave / 2))
    torch.testing.assert_close(soft, loud / 2)


def test_a_picture_is_known_by_where_it_is_bright() -> None:
    backbone = TinyVideo()
    frames = np.zeros((2, 1, 32, 32, 3), np.uint8)
    frames[0, :, :16], frames[1, :, 16:] = 255, 255
    top, bottom = backbone(backbone.preprocess(Clip(frames, None, 2.0)))
    assert not torch.allclose(top, bottom)


def test_a_word_is_the_same_wherever_it_stands() -> None:
    backbone = TinyText()
    first = backbone(backbone.preprocess("Dog barks"))
    second = backbone(backbone.preprocess("a dog"))
    assert torch.equal(first[0], second[1])
    assert not torch.equal(first[1], second[0])
