"""Every number of a training run, validated. A run folder carries it; resume reads it."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from model.config import FrozenModel, SRCIDConfig


class CLUBConfig(FrozenModel):
    """The networks that estimate mutual information, and how they are fitted."""

    hidden_dim: PositiveInt = 128
    fits: PositiveInt = 5  # fitting steps before each optimizer step
    lr: PositiveFloat = 1e-3
    time_first: bool = False  # average over time before dividing by the variance (published)
    # Which encoders minimise the bound. "specific": codes keep what they align on, and only the
    # specific side has to give up what they tell (an extension).
    gradient: Literal["both", "specific"] = "both"


class CPCConfig(FrozenModel):
    """Cross-modal contrastive predictive coding."""

    lstm_layers: PositiveInt = 2
    self_weight: float = Field(0.1, ge=0)  # of predicting the own modality; others weigh 1
    temperature: PositiveFloat | None = None  # cosines over it; None: raw dot products (paper)


class CMCMConfig(FrozenModel):
    """Cross-modal code matching."""

    temperature: PositiveFloat = 1.0
    # "published" swaps the indices of the score's second term; "symmetric" also matches columns.
    form: Literal["textbook", "published", "symmetric"] = "textbook"


class TransportConfig(FrozenModel):
    """Optimal transport of clips to prototypes (CODIS)."""

    epsilon: float = Field(0.05, ge=0.03)  # of the entropy; below, exp(-cost / epsilon) underflows
    iterations: PositiveInt = 20
    temperature: PositiveFloat = 0.1  # of the softmax that foretells another modality's plan


class LayerWeights(FrozenModel):
    """What one layer weighs, and each kind of term in its sum. The paper's are all 1 (eq. 8)."""

    total: float = Field(1.0, ge=0)
    reconstruction: float = Field(1.0, ge=0)
    commitment: float = Field(1.0, ge=0)
    mi: float = Field(1.0, ge=0)
    cpc: float = Field(1.0, ge=0)
    cmcm: float = Field(1.0, ge=0)
    infonce: float = Field(0.0, ge=0)  # an extension, and of CMCM, CODIS, TURN: clip-level InfoNCE
    transport: float = Field(0.0, ge=0)  # CODIS
    interchange: float = Field(0.0, ge=0)  # TURN
    code_prediction: float = Field(0.0, ge=0)  # an extension: of the code of the clip's vote
    anchor: float = Field(0.0, ge=0)  # an extension: to the general vectors of the start


class ObjectiveConfig(FrozenModel):
    """The loss: a weighted sum of terms in each layer, and of the layers."""

    # 0.3 is the published code's weight of layer 2; the paper is silent.
    layers: tuple[LayerWeights, ...] = (LayerWeights(), LayerWeights(total=0.3))
    beta: PositiveFloat = 0.25  # of commitment
    # Variance of specific features (mean over dimensions) below which a collapse is warned of.
    collapse_threshold: float = Field(1e-3, ge=0)
    mi_ramp_steps: NonNegativeInt = 0  # an extension: the MI weight grows from 0 over these steps
    # False: to the own code only, with weight beta, as van den Oord et al. have it.
    paired_commitment: bool = True
    infonce_temperature: PositiveFloat = 0.1
    # "crossed" (an extension): half of it general with general vectors, half quantized with those.
    infonce_vectors: Literal["general", "general+quantized", "crossed"] = "general"
    # Of the softmax over the cosines of clips' meanings, which says how far one clip is right for
    # another; None: only a clip is right for itself.
    infonce_target_temperature: PositiveFloat | None = None
    code_prediction_temperature: PositiveFloat = 0.05
    club: CLUBConfig = CLUBConfig()
    cpc: CPCConfig = CPCConfig()
    cmcm: CMCMConfig = CMCMConfig()
    transport: TransportConfig = TransportConfig()


class WarmStartConfig(FrozenModel):
    """When layer 2's losses join.

    ``epoch``: at the start of epoch ``epoch`` (the published code: 3). ``mi``: when the running
    mean of layer 1's bound stayed below ``threshold`` for ``patience`` steps. The bound is near 0
    before anything was learned too, so this also waits for ``min_steps`` and for CLUB's fit to
    have settled.
    """

    trigger: Literal["epoch", "mi"] = "epoch"
    epoch: NonNegativeInt = 3
    threshold: PositiveFloat = 0.1  # nats, summed over the modalities
    patience: PositiveInt = 50
    min_steps: NonNegativeInt = 500
    settled: PositiveFloat = 0.02  # relative change of the running fit loss over ``patience`` steps


class OptimConfig(FrozenModel):
    """The optimizer of everything but CLUB."""

    lr: PositiveFloat = 4e-4
    warmup_steps: NonNegativeInt = 0  # linear from 0
    # "cosine" falls to 0 at the last step; "multistep" multiplies by ``gamma`` at the start of
    # each epoch of ``milestones`` (published).
    schedule: Literal["constant", "cosine", "multistep"] = "constant"
    milestones: tuple[PositiveInt, ...] = (10, 20, 30)
    gamma: float = Field(0.5, gt=0, le=1)
    clip_norm: PositiveFloat = 0.5  # of each module's gradient: stem, encoders, decoders, CPC, CLUB
    # How much of the weights that training began with is in the general encoders of a checkpoint.
    # What no example shows is then forgotten less (WiSE-FT). It needs ``init``.
    start_share: float = Field(0.0, ge=0, lt=1)
    # Of the network; losses and codebook distances are always float32. "auto": bf16 on a GPU.
    precision: Literal["auto", "float32", "bf16"] = "auto"


class StoppingConfig(FrozenModel):
    """When a run ends before its last epoch; it takes part where ``data.validation`` > 0.

    Each epoch is then evaluated on the validation split, and the best one is the checkpoint.
    """

    patience: PositiveInt | None = None  # epochs without a better one; None: never stop early


class DataConfig(FrozenModel):
    """What a training clip is made of."""

    folder: Path | None = None  # a bank, or what `srcid extract` wrote; given by --data
    steps: PositiveInt = 10  # T, as model.max_steps
    clips_per_epoch: PositiveInt = 2000  # of extracted media, at least: it has all its clips
    views: PositiveInt = 1  # crops and excerpts of each photo and sound that are cached
    validation: float = Field(0.0, ge=0, lt=1)  # part of the train split kept from training
    # Of a bank: how large a share of the examples is imagined from the names that the backbones'
    # classifiers know (``training.data.named``); 0: clips are composed of the bank's own items.
    imagined: float = Field(0.0, ge=0, lt=1)
    clips: Path | None = None  # beside such examples: media that `srcid extract` wrote
    partial: bool = False  # train on fewer clips than a published archive has
    # "pad": one word per step, zeros after the last word (paper). "spread": words over all steps.
    text_layout: Literal["pad", "spread"] = "pad"
    text_mask: bool = True  # False: padding counts as words (published)


class CodebookConfig(FrozenModel):
    """How the codebooks begin and end; in between they follow moving averages."""

    start: Literal["random", "k-means"] = "random"  # of a layer, when it joins
    # After the last step: the means for a code are taken anew, and least squares fits the residual
    # codebook to what sounds and pictures leave, for steps that last together.
    refit: bool = False


class TrainConfig(FrozenModel):
    """A whole run."""

    name: str
    model: SRCIDConfig
    init: str | None = None  # a checkpoint to start from: --init; None: random weights
    data: DataConfig = DataConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    codebooks: CodebookConfig = CodebookConfig()
    optim: OptimConfig = OptimConfig()
    warm_start: WarmStartConfig = WarmStartConfig()
    stopping: StoppingConfig = StoppingConfig()
    epochs: PositiveInt = 5
    batch_size: PositiveInt = 80  # of all ranks together
    seed: NonNegativeInt = 43

    @model_validator(mode="after")
    def _clips_are_as_long_as_pieces(self) -> Self:
        if self.data.steps != self.model.max_steps:
            raise ValueError(
                f"data.steps is {self.data.steps} but model.max_steps is {self.model.max_steps}: "
                "encoding cuts media into pieces of max_steps, which must be as long as the clips "
                "of training; set both to the same number"
            )
        return self

    @model_validator(mode="after")
    def _what_is_weighed_is_there(self) -> Self:
        weighed = [own for own in self.objective.layers if own.reconstruction or own.mi]
        if self.model.leaves_general and weighed:
            raise ValueError(
                f"model.residual={self.model.residual} has no specific part: set "
                "objective.layers.N.reconstruction and mi to 0"
            )
        return self

    @model_validator(mode="after")
    def _patience_needs_validation(self) -> Self:
        if self.stopping.patience is not None and not self.data.validation:
            raise ValueError("stopping.patience needs a validation split: set data.validation > 0")
        return self
