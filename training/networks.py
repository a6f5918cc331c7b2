"""The networks that are trained or aligned: the paper's, and those on embedded backbones."""

from model.config import (
    MapConfig,
    ModalityConfig,
    QuantizerConfig,
    RVQConfig,
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


def aligned_network(*, codebook_size: int = 400) -> SRCIDConfig:
    """Return the network that ``srcid align`` fills: one layer, two residual codebooks."""
    return SRCIDConfig(
        modalities={
            Modality.AUDIO: ModalityConfig(
                backbone="yamnet-classes", feature_shape=(1024 + 521,), specific_dim=64
            ),
            Modality.VIDEO: ModalityConfig(
                backbone="efficientnet-lite0-classes",
                feature_shape=(1280 + 1000,),
                specific_dim=64,
            ),
            Modality.TEXT: ModalityConfig(backbone="minilm", feature_shape=(384,), specific_dim=64),
        },
        num_layers=1,
        quantizer=RVQConfig(stages=2, codebook_size=codebook_size, carry=True),
        queries="general",
        picture_steps=10,  # a picture may take as much room as a clip of ten seconds
        transformer_layers=1,
        feedforward_dim=64,
    )


def open_network() -> SRCIDConfig:
    """Return the network of ``shared``: layer 2 has what the codes of layer 1 leave unsaid."""
    shared = VQConfig(joint=True, vote="clip", decay=0.97, revive_after=50)
    # It carries what it loses along time; nothing of layer 1 is carried, so that its codes say what
    # is in a second, wherever this stands.
    left = RVQConfig(
        stages=3, carry=True, carry_all=True, decay=0.97, multimodal=False, revive_after=50
    )
    return aligned_network().model_copy(
        update={
            "num_layers": 2,
            "quantizer": shared,
            "residual": "general",
            "residual_quantizer": left,
            "attention": False,
            "feedforward_dim": 256,
            "dropout": 0.0,
        }
    )


def pretrained_network(*, video: str, audio: str, text: str, dim: int) -> SRCIDConfig:
    """Return the network of ``shared`` on pretrained models that compare sentences.

    Args:
        video: hf:OWNER/NAME or a folder, as for the others.
        audio: Of sound.
        text: Of text; two models are joined by " + ".
        dim: Of their vectors, as published; those of the models found replace it.
    """
    sizes = {Modality.AUDIO: dim, Modality.VIDEO: dim, Modality.TEXT: 2 * dim}
    sources = {Modality.AUDIO: audio, Modality.VIDEO: video, Modality.TEXT: text}
    modalities = {
        m: ModalityConfig(backbone=source, feature_shape=(sizes[m],), specific_dim=64)
        for m, source in sources.items()
    }
    return open_network().model_copy(update={"modalities": modalities})


def aligned_on(model: SRCIDConfig, *, codebook_size: int = 400) -> SRCIDConfig:
    """Return the aligned network that a recipe's network can start from: on its backbones."""
    update = {"modalities": model.modalities, "dim": model.dim, "num_heads": model.num_heads}
    return aligned_network(codebook_size=codebook_size).model_copy(update=update)
