"""The two-layer network, its losses and gradients against the published model's, in float64."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model.modality import Modality
from model.srcid import SRCID, SRCIDOutput
from training.losses.cmcm import cross_modal_code_matching
from training.losses.objective import LayerDraws, Objective, Report
from training.published import convert_network, our_name, rename_club, rename_cpc, rename_stem
from training.recipes import srcid_as_published

pytestmark = pytest.mark.shared
LETTERS = {"v": Modality.VIDEO, "t": Modality.TEXT, "a": Modality.AUDIO}


class Reference(NamedTuple):
    """Our modules with the reference's weights, run once on its inputs."""

    tensors: dict[str, Tensor]
    expected: dict[str, Any]
    model: SRCID
    objective: Objective
    output: SRCIDOutput
    stem: Tensor
    fits: dict[str, Tensor]
    report: Report


def close(ours: Tensor, theirs: Tensor | float) -> None:
    """Hold the tolerance of the reference: 1e-9 relative, 1e-12 absolute."""
    theirs = torch.as_tensor(theirs, dtype=torch.float64)
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-9, atol=1e-12)


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


@pytest.fixture(scope="module")
def reference(shared: Path) -> Reference:
    folder = shared / "parity"
    tensors = load_file(folder / "two_layer.safetensors")
    tensors = {k: v.double() if v.is_floating_point() else v for k, v in tensors.items()}
    expected = json.loads((folder / "two_layer.json").read_text())
    return run(tensors, expected)


def run(tensors: dict[str, Tensor], expected: dict[str, Any]) -> Reference:
    config = srcid_as_published()
    video = config.model.modalities[Modality.VIDEO]
    small = video.model_copy(update={"map": video.map.model_copy(update={"specific_channels": 64})})
    sizes = {"modalities": config.model.modalities | {Modality.VIDEO: small}, "dropout": 0.0}
    network = config.model.model_copy(update=sizes)
    weights = under(tensors, "weights/")
    model, objective = SRCID(network).double(), Objective(network, config.objective).double()
    load_network(model, weights)
    load_objective(objective, weights)
    features = {
        Modality.AUDIO: tensors["inputs/audio"],
        Modality.VIDEO: tensors["inputs/video"],
        Modality.TEXT: tensors["inputs/text_words"],
    }
    masks = {m: torch.ones(4, 10, dtype=torch.bool) for m in features}
    output = model(features, masks)
    fits = objective.fit_loss(output, masks)
    tables = [layer.quantizer.tables() for layer in model.stages]
    report = objective(output, masks, tables, draws(expected["draws"]))
    report.total.backward()
    for layer, out in zip(model.stages, output.layers, strict=True):
        layer.quantizer.update(out.general, masks)
    stem = model.stems["text"](features[Modality.TEXT], masks[Modality.TEXT])
    return Reference(tensors, expected, model, objective, output, stem, fits, report)


def load_network(model: SRCID, weights: dict[str, Tensor]) -> None:
    ours = convert_network(under(weights, "enc."), under(weights, "lstm."), under(weights, "dec."))
    for depth in (0, 1):
        prefix = f"layers.{depth}.quantizer.codebook."
        codebook, count = weights["codebook"][depth], weights["ema_count"][depth]
        ours[prefix + "vectors"], ours[prefix + "ema_count"] = codebook, count
        ours[prefix + "ema_sum"] = codebook * count[:, None]
        ours[prefix + "unused_for"] = torch.zeros(400, dtype=torch.int64)
    model.load_state_dict(ours)


def load_objective(objective: Objective, weights: dict[str, Tensor]) -> None:
    for depth, suffix in enumerate(("", "2")):
        own = objective.stages[depth]
        cpc = under(weights, f"cpc{suffix}.")
        own.cpc.load_state_dict({rename_cpc(k): v for k, v in cpc.items()})
        for letter, m in LETTERS.items():
            club = under(weights, f"{letter}mi{suffix}.")
            own.club(m).load_state_dict({rename_club(k): v for k, v in club.items()})


def draws(drawn: dict[str, list[int]]) -> list[LayerDraws]:
    return [
        LayerDraws(
            {m: torch.tensor(drawn[f"layer{layer}/permutation/{m}"]) for m in Modality},
            drawn[f"layer{layer}/cpc_t_raw"][0] + 1,
        )
        for layer in (1, 2)
    ]


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("modality", list(Modality))
def test_every_intermediate_is_the_published_one(
    reference: Reference, layer: int, modality: Modality
) -> None:
    out = reference.output.layers[layer - 1]
    expected = under(reference.tensors, f"outputs/layer{layer}/")
    assert torch.equal(out.codes[modality][:, 0], expected[f"codes/{modality}"])
    close(out.general[modality], expected[f"general/{modality}"])
    close(out.quantized[modality], expected[f"quantized/{modality}"])
    close(out.specific[modality].vector, expected[f"specific/{modality}"])


def test_stem_and_specific_map_are_the_published_ones(reference: Reference) -> None:
    close(reference.stem, reference.tensors["outputs/text_stem"])
    video = reference.output.layers[0].specific[Modality.VIDEO].map
    assert video is not None
    close(video, reference.tensors["outputs/layer1/specific_map/video"])


def test_every_loss_term_is_the_published_one(reference: Reference) -> None:
    ours = reference.report.terms | reference.fits | {"total": reference.report.total}
    for name, value in reference.expected["losses"].items():
        if name in ("layer1/total", "layer2/total"):
            continue  # a sum of the others; the total covers both
        close(ours[name], value)


def test_every_gradient_norm_is_the_published_one(reference: Reference) -> None:
    ours = gradient_norms(reference)
    for name, expected in reference.expected["gradient_norms"].items():
        mine = ours.get(name, 0.0)  # ours lacks what computes nothing in theirs
        if expected < 1e-12:
            assert mine < 1e-12, name
        else:
            assert mine == pytest.approx(expected, rel=1e-9), name


def gradient_norms(reference: Reference) -> dict[str, float]:
    """Return the norm of each of our gradients, by the reference's name."""
    network = {k: p.grad.norm().item() for k, p in reference.model.named_parameters()}
    norms = {}
    for name in reference.expected["gradient_norms"]:
        module, rest = name.split(".", 1)
        depth = 1 if module.endswith("2") else 0
        own = reference.objective.stages[depth]
        if module in ("enc", "dec"):
            renamed = our_name(rest)
            if renamed:
                norms[name] = network[renamed]
        elif module == "lstm":
            norms[name] = network[rename_stem(rest)]
        elif module.startswith("cpc"):
            norms[name] = own.cpc.get_parameter(rename_cpc(rest)).grad.norm().item()
        elif re.fullmatch("[vta]mi2?", module):
            club = own.club(LETTERS[module[0]])
            norms[name] = club.get_parameter(rename_club(rest)).grad.norm().item()
    return norms


def test_the_codebooks_move_as_the_published_ones(reference: Reference) -> None:
    for depth, layer in enumerate(reference.model.stages):
        codebook = layer.quantizer.codebook
        close(codebook.vectors, reference.tensors["outputs/codebook_after_update"][depth])
        close(codebook.ema_count, reference.tensors["outputs/ema_count_after_update"][depth])


def test_code_matching_is_the_published_one(reference: Reference, shared: Path) -> None:
    expected = json.loads((shared / "parity" / "cmcm.json").read_text())["one_layer_cmcm"]
    general = reference.output.layers[0].general
    masks = {m: torch.ones(4, 10, dtype=torch.bool) for m in general}
    codebook = reference.tensors["weights/codebook"][0]
    published = srcid_as_published().objective.cmcm
    ours = cross_modal_code_matching(general, codebook, masks, published)
    assert ours.item() == pytest.approx(expected, rel=1e-5)
