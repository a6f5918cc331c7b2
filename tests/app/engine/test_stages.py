"""Pictures are held for the steps that the checkpoint gives them, clips keep their seconds."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from app.engine.stages import Network, NetworkInput
from model.config import SRCIDConfig
from model.encoder import Encoder, Quantized
from model.media import Clip
from model.modality import Modality
from model.srcid import SRCID


@pytest.fixture
def encoder(tiny_config: SRCIDConfig, tmp_path: Path) -> Encoder:
    SRCID(tiny_config.model_copy(update={"picture_steps": 4})).save_pretrained(tmp_path)
    return Encoder.from_pretrained(tmp_path)


def clip(seconds: float | None) -> Clip:
    frames = np.random.default_rng(0).integers(0, 255, (1, 1, 16, 16, 3)).astype(np.uint8)
    return Clip(frames, None, seconds)


def test_a_picture_is_held_and_a_second_of_video_is_not(encoder: Encoder) -> None:
    prepared = encoder.prepare(clip(None))
    held, second = Network(encoder).run(
        [NetworkInput(prepared), NetworkInput(prepared, duration_seconds=1.0)]
    )
    assert held.codes[Modality.VIDEO].shape == (2, 4)
    assert second.codes[Modality.VIDEO].shape == (2, 1)


def test_a_sentence_keeps_its_words(encoder: Encoder) -> None:
    (encoded,) = Network(encoder).run([NetworkInput("three small words")])
    assert (
        encoded.codes[Modality.TEXT].tolist()
        == encoder.encode("three small words")["text"].tolist()
    )


@pytest.mark.parametrize(("seconds", "steps"), [(None, 4), (1.0, 1)])
def test_the_encoder_by_itself_holds_pictures_too(
    encoder: Encoder, seconds: float | None, steps: int
) -> None:
    (encoded,) = Network(encoder).run(
        [NetworkInput(encoder.prepare(clip(seconds)), False, seconds)]
    )
    alone = encoder.encode(clip(seconds))[Modality.VIDEO]
    assert alone.shape == (2, steps)
    assert alone.tolist() == encoded.codes[Modality.VIDEO].tolist()


def test_the_network_uses_one_thread_of_openmp_in_whichever_thread_it_runs(
    encoder: Encoder,
) -> None:
    """With more, the last bits of sums would depend on the load, and so would codes."""

    def run() -> int:
        torch.set_num_threads(2)
        Network(encoder).run([NetworkInput("a word")])
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(run).result() == 1


def quantizing(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, wait: Callable[[], object]
) -> list[int]:
    """Run four sentences in threads; return how many were quantizing whenever one began to."""
    at_once, counts, quantize = 0, [], encoder.quantize

    def counted(items: Sequence[tuple[Modality, Tensor]]) -> list[Quantized]:
        nonlocal at_once
        at_once += 1
        counts.append(at_once)
        wait()
        at_once -= 1
        return quantize(items)

    monkeypatch.setattr(encoder, "quantize", counted)
    network = Network(encoder)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(network.run, [[NetworkInput("a word")]] * 4))
    return counts


def test_threads_take_turns_at_quantizing(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quantizing(encoder, monkeypatch, lambda: time.sleep(0.01)) == [1, 1, 1, 1]


def test_behind_a_thread_that_hangs_others_quantize(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits until all four are at it: with turns that had to be waited for, for ever."""
    everyone = threading.Barrier(4)
    assert quantizing(encoder, monkeypatch, lambda: everyone.wait(30)) == [1, 2, 3, 4]
