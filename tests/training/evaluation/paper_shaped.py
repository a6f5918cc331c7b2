"""A tiny network on features of the paper's shapes."""

import pytest

from model.config import MapConfig, ModalityConfig, SRCIDConfig
from model.modality import Modality
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE


@pytest.fixture(scope="session")
def paper_shaped(tiny_config: SRCIDConfig) -> SRCIDConfig:
    sound = ModalityConfig(backbone="vggish", feature_shape=AUDIO_SHAPE, specific_dim=8)
    picture = ModalityConfig(
        backbone="vgg19",
        feature_shape=VIDEO_SHAPE,
        specific_dim=8,
        map=MapConfig(gate_dim=4, attention_dim=4, specific_channels=4),
    )
    modalities = {**tiny_config.modalities, Modality.AUDIO: sound, Modality.VIDEO: picture}
    return tiny_config.model_copy(update={"modalities": modalities})
