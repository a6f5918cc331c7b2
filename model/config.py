"""Every number of the architecture, validated: the JSON that a checkpoint carries.

Letters: F feature dim, S specific dim, D hidden dim, L codebook size, K layers, Q codes a step.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from model.modality import Modality

MAX_CODES = 2**15  # codes are kept as int16
# What a network can have at all: a config that a stranger wrote asks for no more.
Width = Annotated[int, Field(ge=1, le=2**20)]
Depth = Annotated[int, Field(ge=1, le=64)]
Side = Annotated[int, Field(ge=8, le=2048)]  # pixels


class FrozenModel(BaseModel):
    """A configuration: immutable, and a field that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VQConfig(FrozenModel):
    """One codebook whose vectors follow the multimodal moving average (MM-EMA)."""

    kind: Literal["vq"] = "vq"
    codebook_size: int = Field(400, ge=1, le=MAX_CODES)  # L
    decay: float = Field(0.99, ge=0, lt=1)
    multimodal: bool = True  # pull the paired modalities' vectors in; False is plain EMA
    # An extension: a paired step has one vote, its modalities' mean, which chooses and pulls one
    # code; one turn of ``decay`` an update instead of one a modality, and ``multimodal`` is idle.
    joint: bool = False
    # Whose mean the vote is: of the steps that are paired, or of whole clips, where a word, a
    # second and a photo belong together and no step of theirs does.
    vote: Literal["step", "clip"] = "step"
    # An extension: a code that a smaller share of the steps chose lately is out of use until it
    # is revived, in training and after it. At most 1 / min_share codes live, so stay well below
    # one over the number of things that the codes shall tell apart.
    min_share: float = Field(0.0, ge=0, lt=1)
    revive_after: PositiveInt = 300  # updates without use before a code may move to live data


class RVQConfig(FrozenModel):
    """``stages`` codebooks, each quantizing what the ones before left over (DCID+RVQ-n)."""

    kind: Literal["rvq"] = "rvq"
    codebook_size: int = Field(400, ge=1, le=MAX_CODES)
    stages: Depth = 4
    # Whether a step's code also makes up for what the step before lost, as far as the two are
    # alike: the mean of a stream's codes then says more than any of them can (an extension).
    carry: bool = False
    carry_all: bool = False  # carried in full, however unlike the two steps are
    decay: float = Field(0.99, ge=0, lt=1)
    multimodal: bool = True  # as in VQConfig
    revive_after: PositiveInt = 300


class FSQConfig(FrozenModel):
    """Finite scalar quantization: a fixed grid in a learned projection (DCID+FSQ)."""

    kind: Literal["fsq"] = "fsq"
    levels: tuple[Annotated[int, Field(ge=2)], ...] = (8, 10, 5)  # 400 codes

    @model_validator(mode="after")
    def _codes_fit(self) -> Self:
        if not 1 < math.prod(self.levels) <= MAX_CODES:
            raise ValueError(
                f"levels {self.levels} make {math.prod(self.levels)} codes, at most "
                f"{MAX_CODES} are possible"
            )
        return self


class PrototypesConfig(FrozenModel):
    """Vectors that a loss moves by gradient (CODIS)."""

    kind: Literal["prototypes"] = "prototypes"
    codebook_size: int = Field(400, ge=1, le=MAX_CODES)


QuantizerConfig = Annotated[
    VQConfig | RVQConfig | FSQConfig | PrototypesConfig, Field(discriminator="kind")
]


class StemConfig(FrozenModel):
    """The bidirectional LSTM that text features pass before everything else."""

    dim: Width = 256  # of its output; half for each direction
    layers: Depth = 2


class MapConfig(FrozenModel):
    """How features that are maps ``[H, W, F]`` are encoded; vectors need none of it."""

    gate_dim: Width = 64  # bottleneck of the channel gate
    attention_dim: Width = 256
    attention: Literal["sum", "softmax"] = "softmax"  # "sum" is what the published code computes
    specific_channels: Width = 2048  # of the specific map; half in its first convolution


class PictureInput(FrozenModel):
    """What a network for pictures was trained to see."""

    kind: Literal["picture"] = "picture"
    short_side: Side  # pixels: the shorter side of a frame before it is cropped
    side: Side  # of the square that the network sees
    is_squashed: bool  # the whole frame, whatever becomes of its aspect; else its centre
    resample: Literal["bilinear", "bicubic", "lanczos"]
    mean: tuple[float, float, float]  # of red, green and blue, white being 1
    std: tuple[float, float, float]


class MelConfig(FrozenModel):
    """The spectrogram that a network for sound takes; lengths in samples, frequencies in Hz."""

    bands: Annotated[int, Field(ge=1, le=1024)]
    fft: Annotated[int, Field(ge=16, le=2**16)]
    hop: Annotated[int, Field(ge=1, le=2**16)]
    lowest: float = Field(ge=0)
    highest: float = Field(gt=0)
    frames: Annotated[int, Field(ge=1, le=2**16)]  # that the network takes at once
    mean: float = 0.0
    std: float = Field(1.0, gt=0)


class SoundInput(FrozenModel):
    """What a network for sound was trained to hear."""

    kind: Literal["sound"] = "sound"
    sample_rate: Annotated[int, Field(ge=1000, le=192_000)]
    window_seconds: Annotated[int, Field(ge=1, le=60)]  # heard together
    mel: MelConfig | None  # None: it takes the samples


class TextInput(FrozenModel):
    """What a network for text was trained to read."""

    kind: Literal["text"] = "text"
    step: Literal["sentence", "word"]  # what a feature vector stands for
    max_tokens: Annotated[int, Field(ge=3, le=2**16)]
    tokenizer: str  # SHA-256 of its files


class TowerConfig(FrozenModel):
    """One part of a pretrained model, and everything that its features depend on."""

    source: str  # hf:OWNER/NAME, or a folder
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None  # None: of a folder
    sha256: str  # of the weights
    model_type: str  # as its config.json has it
    # Which of the model's vectors: those of the space that its towers share, those of the last
    # layer, or of a sentence what the model pools them to.
    output: Literal["shared", "last", "mean", "first"]
    dim: Width  # of a vector
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the weights and of what is computed
    attention: Literal["eager", "sdpa"]
    input: Annotated[PictureInput | SoundInput | TextInput, Field(discriminator="kind")]

    def __str__(self) -> str:
        return f"{self.source}@{self.commit[:12]}" if self.commit else self.source


class PretrainedBackbone(FrozenModel):
    """A backbone of the Hugging Face Hub or of a folder, as exact as a checkpoint has to name it.

    Several towers, of text, stand side by side: a feature is their vectors, one after the other.
    """

    towers: Annotated[tuple[TowerConfig, ...], Field(min_length=1, max_length=8)]

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape ``(F,)`` of a step's feature."""
        return (sum(tower.dim for tower in self.towers),)

    def __str__(self) -> str:
        return " + ".join(map(str, self.towers))


class ModalityConfig(FrozenModel):
    """One modality: its features and the size of what is specific to it."""

    # A name of model.backbones.BACKBONES, or a pretrained model. A recipe may have its source
    # instead (model.backbones.resolved), a checkpoint may not.
    backbone: str | PretrainedBackbone
    feature_shape: tuple[Width, ...]  # of one step: (F,) or (H, W, F)
    specific_dim: Width  # S
    stem: StemConfig | None = None
    map: MapConfig | None = None

    @model_validator(mode="after")
    def _maps_need_their_config(self) -> Self:
        if (len(self.feature_shape) == 3) != (self.map is not None):
            raise ValueError(
                f"feature_shape {self.feature_shape} and map={self.map} do not fit: a shape "
                "(H, W, F) needs a MapConfig, a shape (F,) must not have one"
            )
        return self


class SRCIDConfig(FrozenModel):
    """The whole network. The defaults are the paper's (section III-B and the published code)."""

    modalities: dict[Modality, ModalityConfig]
    dim: Width = 256  # D
    num_layers: Depth = 2  # K; 1 is DCID
    quantizer: QuantizerConfig = VQConfig()
    residual_quantizer: QuantizerConfig | None = None  # of layers after the first; None: the same
    # What a layer leaves to the next one. "specific": its specific vectors (paper). The others are
    # extensions. "general": its general vectors without those of their codes. "...-centred": of
    # either, the vectors without their mean for the code and modality (``ConditionalMean``).
    residual: Literal["specific", "specific-centred", "general", "general-centred"] = "specific"
    transformer_layers: Depth = 2
    num_heads: Width = 4
    feedforward_dim: Width = 1024
    # Whether a step's general vector depends on the other steps of its clip. Without it (an
    # extension) a second of sound has the same first codes wherever it stands.
    attention: bool = True
    dropout: float = Field(0.1, ge=0, lt=1)
    standardize_specific: bool = False  # unit variance: the MI term cannot shrink them (extension)
    detach_targets: bool = True  # what the decoders aim at gets no gradient (published: it does)
    # What a query is compared by. Where the codebooks saw sentences as well, codes of a query say
    # what it is about and no more; where they did not, they lose much of it (docs/decisions).
    queries: Literal["codes", "general"] = "codes"
    # How long a picture is held: the steps, and so the columns of codes, that it is given. With
    # a quantizer that carries on what it loses, each of them says more of it.
    picture_steps: PositiveInt = 1
    max_steps: PositiveInt = 10  # steps that training used; longer media is cut into such pieces

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Self:
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} is not divisible by num_heads {self.num_heads}")
        return self

    @model_validator(mode="after")
    def _one_code_to_centre_by(self) -> Self:
        if self.is_centred and isinstance(self.quantizer, RVQConfig):
            raise ValueError(
                f"residual {self.residual!r} takes the mean for one code a step, and a residual "
                "quantizer has several: set quantizer.kind to vq, or residual to specific"
            )
        return self

    def quantizer_of(self, depth: int) -> QuantizerConfig:
        """Return the quantizer of layer ``depth``, from 0."""
        return self.residual_quantizer if depth and self.residual_quantizer else self.quantizer

    def channels(self, modality: Modality, depth: int) -> int:
        """Return the last axis of what layer ``depth``, from 0, gets of a modality."""
        own = self.modalities[modality]
        if depth == 0:
            return own.stem.dim if own.stem else own.feature_shape[-1]
        return self.dim if self.leaves_general else own.specific_dim

    @property
    def compared(self) -> tuple[int, ...]:
        """By which layer's general vectors, from 0, a query is compared with each layer's codes.

        Where codes of a later layer stand for what is left of the general vector, all lie in one
        space: a whole query is compared with each, and so with their sum.
        """
        return tuple(0 if self.leaves_general else depth for depth in range(self.num_layers))

    @property
    def leaves_general(self) -> bool:
        """Whether a layer leaves what its codes do not say of the general vectors."""
        return self.residual.startswith("general")

    @property
    def is_centred(self) -> bool:
        """Whether what a layer leaves has no mean for its codes."""
        return self.residual.endswith("-centred")
