"""Models that share no media are connected by sentences: the truth is known, since it is drawn.

Each model sees a thing's latent vector through a random orthonormal map of its own, with noise,
and each modality lies apart from the others by a constant vector, as in CLIP and CLAP.
"""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.config import SRCIDConfig
from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.pretrained_configs import AUDIO, DIM, SIZE, TEXT, VIDEO, config_of, tower
from training.alignment.ridge import LinearMap
from training.alignment.shared_space import Media, connect
from training.networks import aligned_network

LATENT = 24
NOISE = 0.1  # of a vector, beside a latent part of length 1


def clip_and_clap() -> SRCIDConfig:
    return config_of(
        {
            AUDIO: [tower("clap", AUDIO)],
            VIDEO: [tower("clip", VIDEO)],
            TEXT: [tower("clip", TEXT), tower("clap", TEXT)],
        }
    )


class World:
    """Draws what models make of things."""

    def __init__(self, seed: int = 0) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.views: dict[str, Tensor] = {}
        self.gaps: dict[tuple[str, Modality], Tensor] = {}

    def things(self, count: int) -> Tensor:
        return F.normalize(self.randn(count, LATENT), dim=-1)

    def seen(self, things: Tensor, model: str, modality: Modality, *, gap: float = 2.0) -> Tensor:
        """Return ``[N, SIZE]`` of length 1: the things as a model has them."""
        if model not in self.views:
            self.views[model] = torch.linalg.qr(self.randn(SIZE, LATENT))[0].T
        if (model, modality) not in self.gaps:
            self.gaps[model, modality] = F.normalize(self.randn(SIZE), dim=-1)
        noise = NOISE * F.normalize(self.randn(len(things), SIZE), dim=-1)
        apart = gap * self.gaps[model, modality]
        return F.normalize(things @ self.views[model] + noise + apart, dim=-1)

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.draw)


def recall(queries: Tensor, gallery: Tensor) -> float:
    """Return how often the first of the gallery is the query's own (R@1)."""
    scores = F.normalize(queries, dim=-1) @ F.normalize(gallery, dim=-1).T
    return float((scores.argmax(1) == torch.arange(len(queries))).float().mean())


def sentences_of(world: World, count: int = 2000) -> Tensor:
    things = world.things(count)
    return torch.cat([world.seen(things, name, TEXT) for name in ("clip", "clap")], 1)


def media_of(world: World) -> Media:
    """Return pictures and sounds of different things: nothing is paired."""
    pictures = world.seen(world.things(500), "clip", VIDEO)
    return Media({VIDEO: pictures, AUDIO: world.seen(world.things(500), "clap", AUDIO)}, {})


def test_sounds_find_pictures_though_no_example_has_both() -> None:
    world = World()
    maps = connect(clip_and_clap(), sentences_of(world), media_of(world))
    things = world.things(200)
    vectors = {
        VIDEO: maps[VIDEO](world.seen(things, "clip", VIDEO)),
        AUDIO: maps[AUDIO](world.seen(things, "clap", AUDIO)),
        TEXT: maps[TEXT](
            torch.cat([world.seen(things, name, TEXT) for name in ("clip", "clap")], 1)
        ),
    }
    for query, gallery in ((AUDIO, VIDEO), (VIDEO, AUDIO), (TEXT, VIDEO), (TEXT, AUDIO)):
        assert recall(vectors[query], vectors[gallery]) > 0.9, (query, gallery)


def test_modalities_that_lie_apart_are_centred() -> None:
    world = World()
    media = media_of(world)
    maps = connect(clip_and_clap(), sentences_of(world), media)
    for m in (VIDEO, AUDIO):
        outputs = maps[m](media.features[m])
        torch.testing.assert_close(outputs.mean(0), torch.zeros(DIM), rtol=0, atol=1e-5)
    text = maps[TEXT](sentences_of(world))
    assert text.mean(0).norm() < 0.1 * text.norm(dim=1).mean()


def test_one_model_for_all_needs_no_regression() -> None:
    """PE-AV: sounds and pictures are already compared, and get the same directions."""
    world = World()
    kind = "pe_audio_video"
    config = config_of(
        {
            AUDIO: [tower("pe", AUDIO, kind=kind)],
            VIDEO: [tower("pe", VIDEO, kind=kind)],
            TEXT: [tower("pe", TEXT, kind=kind, dim=2 * SIZE)],
        }
    )
    said = world.things(2000)
    # The half for sounds comes first; each half has a head, and so a gap, of its own.
    halves = [world.seen(said, "pe", TEXT), world.seen(said, "pe", TEXT, gap=1.0)]
    media = Media({m: world.seen(world.things(500), "pe", m) for m in (VIDEO, AUDIO)}, {})
    maps = connect(config, torch.cat(halves, 1), media)
    assert torch.equal(maps[VIDEO].weight, maps[AUDIO].weight)
    things = world.things(200)
    heard, seen = (maps[m](world.seen(things, "pe", m)) for m in (AUDIO, VIDEO))
    assert recall(heard, seen) > 0.9


@pytest.mark.parametrize("lonely", [VIDEO, AUDIO])
def test_a_model_without_sentences_learns_from_clips_with_both(lonely: Modality) -> None:
    world = World()
    other = AUDIO if lonely is VIDEO else VIDEO
    names = {lonely: "dino", other: "clip"}
    config = config_of(
        {m: [tower(names[m], m)] for m in (AUDIO, VIDEO)} | {TEXT: [tower("clip", TEXT)]}
    )
    things = world.things(600)
    both = {m: world.seen(things, names[m], m) for m in (VIDEO, AUDIO)}
    said = world.seen(world.things(2000), "clip", TEXT)
    maps = connect(config, said, Media(both, both))
    new = world.things(200)
    vectors = {m: maps[m](world.seen(new, names[m], m)) for m in (VIDEO, AUDIO)}
    assert recall(vectors[lonely], vectors[other]) > 0.9
    assert recall(maps[TEXT](world.seen(new, "clip", TEXT)), vectors[lonely]) > 0.8
    few = {m: own[:20] for m, own in both.items()}
    with pytest.raises(DataError, match=rf"model of {lonely} reads no sentences.* have 20 seconds"):
        connect(config, said, Media(both, few))


def test_models_of_text_that_belong_to_nothing_are_refused() -> None:
    config = config_of(
        {AUDIO: [tower("a", AUDIO)], VIDEO: [tower("v", VIDEO)], TEXT: [tower("t", TEXT)]}
    )
    with pytest.raises(ConfigError, match="name for --text the model that reads sentences"):
        connect(config, torch.randn(50, SIZE), Media({}, {}))
    with pytest.raises(ConfigError, match="minilm is no pretrained model"):
        connect(aligned_network(), torch.randn(50, SIZE), Media({}, {}))


def test_a_modality_that_the_media_lack_is_named() -> None:
    world = World()
    media = media_of(world)
    del media.features[AUDIO]
    with pytest.raises(DataError, match="no sounds to centre audio by"):
        connect(clip_and_clap(), sentences_of(world), media)


def test_too_few_sentences_name_the_setting() -> None:
    world = World()
    with pytest.raises(DataError, match=r"10 sentences of 48 dimensions .* model\.dim"):
        connect(clip_and_clap(), sentences_of(world, 10), media_of(world))


def test_a_regression_learned_from_sentences_matches_the_truth() -> None:
    """Where nothing is noise, CLAP's map is exactly the turn from its space to CLIP's."""
    world = World()
    things = world.things(3000)
    views = [torch.linalg.qr(world.randn(SIZE, LATENT))[0].T for _ in range(2)]
    said = torch.cat([things @ view for view in views], 1)
    media = Media({VIDEO: things @ views[0], AUDIO: things @ views[1]}, {})
    maps = connect(clip_and_clap(), said, media)
    heard, seen = (
        F.normalize(own, dim=-1)
        for own in (maps[AUDIO](things @ views[1]), maps[VIDEO](things @ views[0]))
    )
    assert float((heard * seen).sum(1).min()) > 0.999
    assert isinstance(maps[TEXT], LinearMap)
