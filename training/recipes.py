"""One function for each row of the paper's tables, and for the checkpoints that we ship.

Each returns a whole ``TrainConfig``; ``srcid train NAME --set path=value`` overrides fields.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from model.config import (
    FSQConfig,
    PrototypesConfig,
    QuantizerConfig,
    RVQConfig,
    SRCIDConfig,
    VQConfig,
)
from model.errors import ConfigError
from training.config import (
    CLUBConfig,
    CMCMConfig,
    CodebookConfig,
    DataConfig,
    LayerWeights,
    ObjectiveConfig,
    OptimConfig,
    TrainConfig,
    WarmStartConfig,
)
from training.networks import embedded_network, open_network, paper_network, pretrained_network


def srcid() -> TrainConfig:
    """SRCID as the paper describes it: two layers, all terms of eq. 8."""
    return TrainConfig(name="srcid", model=paper_network(num_layers=2))


def srcid_as_published() -> TrainConfig:
    """SRCID as the authors' code computes it: every known difference from the paper's text."""
    no_matching = {"cmcm": 0.0}
    return TrainConfig(
        name="srcid_as_published",
        model=paper_network(num_layers=2, published=True),
        objective=ObjectiveConfig(
            layers=(LayerWeights(**no_matching), LayerWeights(total=0.3, **no_matching)),
            club=CLUBConfig(time_first=True),
            cmcm=CMCMConfig(form="published"),
        ),
        optim=OptimConfig(schedule="multistep"),  # whose first milestone is never reached
        data=DataConfig(text_mask=False),
    )


def srcid_plus() -> TrainConfig:
    """SRCID with one vocabulary in fact: a joint codebook, and what ``compact`` adds to the paper.

    Paired steps choose one code by their mean; codes that few steps choose are out of use: less
    than an eighth of what one of VGGSound-AVEL's 141 classes has. docs/decisions/0013 has the
    reasons, docs/reproduce.md what was tried.
    """
    quantizer = VQConfig(joint=True, decay=0.97, min_share=0.001, revive_after=50)
    return _extended("srcid_plus", srcid(), quantizer)


def dcid() -> TrainConfig:
    """DCID(VQ): one layer, one codebook."""
    return _dcid("dcid", VQConfig())


def dcid_rvq2() -> TrainConfig:
    """DCID(RVQ-2): one layer, two residual codebooks."""
    return _dcid("dcid_rvq2", RVQConfig(stages=2), cmcm=0.0)


def dcid_rvq3() -> TrainConfig:
    """DCID(RVQ-3): one layer, three residual codebooks."""
    return _dcid("dcid_rvq3", RVQConfig(stages=3), cmcm=0.0)


def dcid_rvq4() -> TrainConfig:
    """DCID(RVQ-4): one layer, four residual codebooks."""
    return _dcid("dcid_rvq4", RVQConfig(stages=4), cmcm=0.0)


def dcid_fsq() -> TrainConfig:
    """DCID(FSQ): one layer, a fixed grid of 8 x 10 x 5 codes; no codebook to commit to."""
    return _dcid("dcid_fsq", FSQConfig(), cmcm=0.0, commitment=0.0)


def srcid_only1() -> TrainConfig:
    """SRCID(only1): trained as `srcid`; its figures are those of layer 1 in the evaluation."""
    return srcid().model_copy(update={"name": "srcid_only1"})


def srcid_no_club1() -> TrainConfig:
    """SRCID of which layer 1 does not disentangle: no mutual information term in it (figure 3)."""
    return _no_club("srcid_no_club1", layers=(1,))


def srcid_no_club2() -> TrainConfig:
    """SRCID of which layer 2 does not disentangle: no mutual information term in it (figure 3)."""
    return _no_club("srcid_no_club2", layers=(2,))


def srcid_no_club() -> TrainConfig:
    """SRCID without disentanglement: no mutual information term in either layer (figure 3)."""
    return _no_club("srcid_no_club", layers=(1, 2))


def cmcm() -> TrainConfig:
    """CMCM on this benchmark: plain moving average, code matching, InfoNCE between clips."""
    return _aligned(
        "cmcm",
        LayerWeights(mi=0, cpc=0, cmcm=0.1, infonce=1),
        infonce_vectors="general+quantized",
    )


def codis() -> TrainConfig:
    """CODIS on this benchmark: learned prototypes, optimal transport, InfoNCE between clips."""
    weights = LayerWeights(mi=0, cpc=0, cmcm=0, commitment=0, infonce=1, transport=1)
    return _aligned("codis", weights, quantizer=PrototypesConfig())


def turn() -> TrainConfig:
    """TURN on this benchmark: each modality decoded from the codes of the others, InfoNCE."""
    weights = LayerWeights(mi=0, cpc=0, cmcm=0, reconstruction=0.1, interchange=0.1, infonce=0.1)
    return _aligned("turn", weights)


def _extended(name: str, config: TrainConfig, quantizer: VQConfig) -> TrainConfig:
    """Return ``config`` with the extensions of `docs/decisions/0009`, and another codebook."""
    layer = LayerWeights(mi=0.3, infonce=1.0)
    network = {"standardize_specific": True, "dropout": 0.3, "quantizer": quantizer}
    return config.model_copy(
        update={
            "name": name,
            "model": config.model.model_copy(update=network),
            "objective": ObjectiveConfig(
                layers=(layer, layer), club=CLUBConfig(gradient="specific")
            ),
        }
    )


def _no_club(name: str, *, layers: tuple[int, ...]) -> TrainConfig:
    config = srcid()
    weights = tuple(
        own.model_copy(update={"mi": 0.0}) if depth in layers else own
        for depth, own in enumerate(config.objective.layers, start=1)
    )
    objective = config.objective.model_copy(update={"layers": weights})
    return config.model_copy(update={"name": name, "objective": objective})


def _aligned(
    name: str,
    weights: LayerWeights,
    *,
    quantizer: QuantizerConfig | None = None,
    infonce_vectors: Literal["general", "general+quantized"] = "general",
) -> TrainConfig:
    """Return DCID's network with another method's way of aligning codes (docs/reproduce.md)."""
    return TrainConfig(
        name=name,
        model=paper_network(num_layers=1, quantizer=quantizer or VQConfig(multimodal=False)),
        objective=ObjectiveConfig(
            layers=(weights,), paired_commitment=False, infonce_vectors=infonce_vectors
        ),
    )


def _dcid(name: str, quantizer: QuantizerConfig, **weights: float) -> TrainConfig:
    return TrainConfig(
        name=name,
        model=paper_network(num_layers=1, quantizer=quantizer),
        objective=ObjectiveConfig(layers=(LayerWeights(**weights),)),
    )


def shared() -> TrainConfig:
    """Things of any name, with codes that the modalities share: what ``default`` is made by.

    From an aligned start the general encoders are trained to foretell the code that a clip's vote
    chooses. An anchor, and a share of the start's weights, keep what no example shows. Layer 2 has
    what layer 1's codes leave unsaid. docs/decisions/0030 and 0047 have the reasons.
    """
    return TrainConfig(
        name="shared",
        model=open_network(),
        init="aligned",
        data=DataConfig(imagined=0.7, clips_per_epoch=11_200),
        objective=ObjectiveConfig(
            layers=(
                LayerWeights(
                    reconstruction=0,
                    commitment=1.4,
                    mi=0,
                    cpc=0,
                    cmcm=0,
                    infonce=1,
                    code_prediction=4.2,
                    anchor=2.8,
                ),
                LayerWeights(reconstruction=0, mi=0, cpc=0, cmcm=0),
            ),
            paired_commitment=False,
            infonce_temperature=0.07,
            infonce_vectors="crossed",
            infonce_target_temperature=0.1,
        ),
        codebooks=CodebookConfig(start="k-means", refit=True),
        optim=OptimConfig(
            lr=3e-4, warmup_steps=20, schedule="cosine", clip_norm=5.0, start_share=0.4
        ),
        warm_start=WarmStartConfig(epoch=3),
        batch_size=224,
        epochs=4,
        seed=0,
    )


def clip_clap() -> TrainConfig:
    """``shared`` on CLIP and CLAP of the Hugging Face Hub; starts from ``srcid align``."""
    clip, clap = "hf:openai/clip-vit-base-patch32", "hf:laion/clap-htsat-unfused"
    model = pretrained_network(video=clip, audio=clap, text=f"{clip} + {clap}", dim=512)
    return _on_clips("clip_clap", model)


def pe_av() -> TrainConfig:
    """``shared`` on PE-AV of the Hugging Face Hub, for a GPU; starts from ``srcid align``."""
    source = "hf:facebook/pe-av-small"
    model = pretrained_network(video=source, audio=source, text=source, dim=1024)
    return _on_clips("pe_av", model)


def _on_clips(name: str, model: SRCIDConfig) -> TrainConfig:
    """Return ``shared`` on media that was extracted; --init names what ``srcid align`` wrote."""
    update = {"name": name, "model": model, "data": DataConfig()}
    return shared().model_copy(update=update)


def compact() -> TrainConfig:
    """The shipped recipe: SRCID on the embedded backbones, with named extensions.

    Beyond the paper: clip-level InfoNCE; specific vectors of unit variance, on whose side alone
    the MI bound is minimised; layer 2 weighs as much as layer 1; codes that nothing chooses move
    to data early; more dropout. docs/reproduce.md has what each brings.
    """
    return _extended("compact", compact_as_paper(), VQConfig(revive_after=50))


def compact_as_paper() -> TrainConfig:
    """The network and data of ``compact``, the paper's objective: what the extensions bring."""
    return TrainConfig(
        name="compact_as_paper",
        model=embedded_network(),
        data=DataConfig(steps=5, clips_per_epoch=1920, views=4, text_layout="spread"),
        warm_start=WarmStartConfig(epoch=2),
        batch_size=48,
        epochs=5,
    )


def smoke() -> TrainConfig:
    """The whole path in a minute: ``compact``, two short epochs, layer 2 in the second."""
    config = compact()
    return config.model_copy(
        update={
            "name": "smoke",
            "data": config.data.model_copy(update={"clips_per_epoch": 480, "views": 1}),
            "warm_start": WarmStartConfig(epoch=1),
            "epochs": 2,
        }
    )


def on_scenes(config: TrainConfig) -> TrainConfig:
    """Return a recipe on composed scenes: its method, on the embedded backbones, in a minute.

    Quantizer, layers, objective and flags stay the recipe's. Of the data only its size and the
    text's layout are common to all rows, so that they differ in nothing but their method. A
    ``min_share`` is the same part of a class, of which scenes have 12.
    """
    embedded = embedded_network()
    common = ("modalities", "transformer_layers", "feedforward_dim")
    network = {name: getattr(embedded, name) for name in common} | {"max_steps": 10}
    quantizer = config.model.quantizer
    if isinstance(quantizer, VQConfig) and quantizer.min_share:
        network["quantizer"] = quantizer.model_copy(update={"min_share": 0.01})
    data = {"steps": 10, "clips_per_epoch": 1920, "text_layout": "spread"}
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=network),
            "data": config.data.model_copy(update=data),
            "warm_start": WarmStartConfig(epoch=2),
            "batch_size": 48,
            "epochs": 5,
        }
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        srcid,
        srcid_only1,
        srcid_as_published,
        srcid_plus,
        srcid_no_club1,
        srcid_no_club2,
        srcid_no_club,
        dcid,
        dcid_rvq2,
        dcid_rvq3,
        dcid_rvq4,
        dcid_fsq,
        cmcm,
        codis,
        turn,
        shared,
        clip_clap,
        pe_av,
        compact,
        compact_as_paper,
        smoke,
    )
}


MADE_BY = {  # shipped checkpoints that are not called as their recipe is
    "default": "`srcid train shared --data DIR --set data.clips=CLIPS --out OUT`",
    "aligned": "`srcid align --data DIR --out OUT`",
}


def recipe(name: str) -> TrainConfig:
    """Return the configuration of the recipe ``name``; dashes serve as underscores.

    Raises:
        ConfigError: There is no such recipe.
    """
    known = name.replace("-", "_")
    if known in MADE_BY:
        raise ConfigError(f"no recipe is called {name!r}: {MADE_BY[known]} makes that checkpoint")
    if known not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[known]()


def override(config: TrainConfig, settings: Mapping[str, Any]) -> TrainConfig:
    """Return ``config`` with fields set by dotted path, validated as a whole.

    Args:
        config: The configuration to start from.
        settings: Values by path, such as ``{"objective.layers.1.mi": 0}``.

    Raises:
        ConfigError: A path does not exist, or a value does not fit.
    """
    tree = config.model_dump(mode="json")
    for path, value in settings.items():
        *parents, last = path.split(".")
        node: Any = tree
        try:
            for key in parents:
                node = node[int(key) if isinstance(node, list) else key]
            field = int(last) if isinstance(node, list) else last
            node[field]  # a path that does not exist is a mistake, not a new field
            node[field] = value
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ConfigError(f"the configuration has no field {path!r}") from error
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']} (given {first['input']!r})") from error
