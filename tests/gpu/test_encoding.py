"""P8: codes of a CPU and of a GPU are the same, but for near ties; the engine's are the GPU's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from app.engine.batcher import MicroBatcher
from app.engine.decode_pool import DecodePool
from app.engine.engine import Engine
from app.engine.stages import MediaRequest, Network, NetworkInput, Preprocessor
from app.errors import TooLarge
from app.settings import Settings
from model.device import limit_memory
from model.encoder import Encoder
from model.media import Clip
from model.modality import Modality

pytestmark = pytest.mark.gpu

NUM_CLIPS, SECONDS = 50, 10
EQUAL = 0.999  # of all codes
NEAR_TIE = 1e-3  # of the distance to the code that was chosen
SENTENCE = "a dog barks while rain falls on the roof of an old house"


def clips() -> list[Clip]:
    """Moving patterns with noise of changing colour."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(NUM_CLIPS):
        blocks = rng.integers(0, 255, (SECONDS, 1, 8, 10, 3)).astype(np.uint8)
        frames = blocks.repeat(32, 2).repeat(32, 3)  # [T, 1, 256, 320, 3]
        sound = np.cumsum(rng.normal(0, 0.02, SECONDS * 16_000)) % 1 - 0.5
        found.append(Clip(frames, sound.astype(np.float32), float(SECONDS)))
    return found


def features(encoder: Encoder, item: Clip | str) -> list[tuple[Modality, Tensor]]:
    prepared = list(encoder.prepare(item).items())
    return list(zip((m for m, _ in prepared), encoder.features(prepared), strict=True))


def test_backbones_give_the_same_features(on_cpu: Encoder, on_gpu: Encoder) -> None:
    for item in (*clips()[:3], SENTENCE):
        pairs = zip(features(on_cpu, item), features(on_gpu, item), strict=True)
        for (m, left), (_, right) in pairs:
            torch.testing.assert_close(left, right.cpu(), rtol=1e-2, atol=1e-3, msg=str(m))


def test_codes_are_the_same_but_for_near_ties(on_cpu: Encoder, on_gpu: Encoder) -> None:
    """Of the first layer: what the second gets depends on which code was chosen."""
    items: list[Clip | str] = [*clips(), *(SENTENCE[n:] for n in range(0, 40, 4))]
    compared = different = 0
    for item in items:
        for m, feature in features(on_cpu, item):
            left, right = (
                encoder.quantize([(m, feature.to(encoder.device))])[0].codes
                for encoder in (on_cpu, on_gpu)
            )
            compared += left.size
            different += int((left != right).sum())
            for step in np.flatnonzero(left[0] != right[0]):
                near, far = distances(on_cpu, m, feature, int(step), left[0, step], right[0, step])
                assert abs(far - near) <= NEAR_TIE * near
    assert different <= (1 - EQUAL) * compared


def distances(
    encoder: Encoder, m: Modality, feature: Tensor, step: int, *codes: np.int16
) -> list[float]:
    """Return how far a step's general vector lies from each of two codes of layer 1."""
    start = step // encoder.config.max_steps * encoder.config.max_steps
    piece = feature[None, start : start + encoder.config.max_steps]
    mask = torch.ones(piece.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        general = encoder.model({m: piece}, {m: mask}).layers[0].general[m][0, step - start]
    table = torch.from_numpy(encoder.vocabulary.tables[0])
    return [float((general - table[int(code)]).norm()) for code in codes]


def test_the_engine_gives_the_codes_of_the_encoder(gpu: str, on_gpu: Encoder) -> None:
    settings = Settings(device=gpu, max_batch=1)
    with Engine(on_gpu, settings) as engine:
        for clip in clips()[:5]:
            found = engine.encode(clip).codes
            for m, codes in on_gpu.encode(clip).items():
                assert np.array_equal(found[m], codes)


def test_batches_change_no_more_than_near_ties(gpu: str, on_gpu: Encoder) -> None:
    with Engine(on_gpu, Settings(device=gpu, max_batch=16)) as engine:
        waiting = [engine.submit(clip) for clip in clips()]
        together = [job.result().codes for job in waiting]
    alone = [on_gpu.encode(clip) for clip in clips()]
    equal = [
        float((own[m] == other[m]).mean())
        for own, other in zip(together, alone, strict=True)
        for m in own
    ]
    assert sum(equal) / len(equal) >= EQUAL


def test_what_is_decoded_for_a_gpu_lies_in_pinned_memory(on_gpu: Encoder, tmp_path: Path) -> None:
    engine = Engine(on_gpu, Settings(data_dir=tmp_path))
    pool: DecodePool = engine._pool
    (work,) = Preprocessor(pool, on_gpu, max_steps=60).run([MediaRequest(clips()[0])])
    assert not isinstance(work.inputs, str)
    assert all(own.is_pinned() for own in work.inputs.values())


def test_a_batch_that_does_not_fit_is_computed_in_parts(on_gpu: Encoder) -> None:
    """With room for some clips at a time, all have the codes that they have alone."""
    some = clips()[:16]
    network = Network(on_gpu)
    inputs = [NetworkInput(on_gpu.prepare(own), duration_seconds=SECONDS) for own in some]
    torch.cuda.reset_peak_memory_stats()
    alone = [network.run([own])[0].codes for own in inputs]
    room = int(1.5 * torch.cuda.max_memory_allocated())
    torch.cuda.empty_cache()
    limit_memory("cuda", room)
    try:
        with pytest.raises(TooLarge, match="SRCID_MAX_GPU_MEMORY_BYTES"):
            network.run(inputs)
        halved = MicroBatcher(network.run, part="device", threads=1, max_run_seconds=60)
        outcomes = halved._outcomes(inputs)
    finally:
        limit_memory("cuda", torch.cuda.get_device_properties("cuda").total_memory)
    for found, expected in zip(outcomes, alone, strict=True):
        assert not isinstance(found, Exception), found
        for m, codes in expected.items():
            assert np.mean(found.codes[m] == codes) >= EQUAL
