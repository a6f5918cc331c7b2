"""The two networks that the recipes train: the paper's, and a small one on embedded backbones."""

from model.config import (
    MapConfig,
    ModalityConfig,
    QuantizerConfig,
    SRCIDConfig,
    StemConfig,
    VQConfig,
)
from model.modality import Modality


def paper_network(
    *, num_layers: int, quantizer: QuantizerConfig | None = None, published: bool = False
) -> SRCIDConfig:
    """Return the paper's network on VGG19, VGGish and BERT features (section III-B)."""
    attention = "sum" if published else "softmax"
    return SRCIDConfig(
        modalities={
            Modality.AUDIO: ModalityConfig(
                backbone="vggish", feature_shape=(128,), specific_dim=256
            ),
            Modality.VIDEO: ModalityConfig(
                backbone="vgg19",
                feature_shape=(7, 7, 512),
                specific_dim=512,
                map=MapConfig(attention=attention),
            ),
            Modality.TEXT: ModalityConfig(
                backbone="bert", feature_shape=(768,), specific_dim=256, stem=StemConfig()
            ),
        },
        num_layers=num_layers,
        quantizer=quantizer or VQConfig(),
        detach_targets=not published,
    )


def embedded_network() -> SRCIDConfig:
    """Return the small network on the backbones whose weights come as packages."""
    return SRCIDConfig(
        modalities={
            Modality.AUDIO: ModalityConfig(
                backbone="yamnet", feature_shape=(1024,), specific_dim=128
            ),
            Modality.VIDEO: ModalityConfig(
                backbone="efficientnet-lite0-pooled", feature_shape=(1280,), specific_dim=128
            ),
            # No stem: MiniLM's words have their context, and an LSTM learns sentences by heart.
            Modality.TEXT: ModalityConfig(
                backbone="minilm", feature_shape=(384,), specific_dim=128
            ),
        },
        transformer_layers=1,
        feedforward_dim=512,
        max_steps=5,
    )
