"""Writes what the authors' trainer writes, from a network of ours: their names, float64.

The names stand here a second time, from ours to theirs, so that a slip in the product's table
cannot cancel itself.
"""

from pathlib import Path

import torch
from torch import Tensor

from model.config import MapConfig, SRCIDConfig, VQConfig
from model.modality import Modality
from model.srcid import SRCID
from training.networks import paper_network

# Our name after "layers.0." -> theirs; a layer 2 has the same but for the modules below.
VECTOR = {
    "general.{m}.project": "{m}_self_att{k}.affine_matrix",
    "general.{m}.blocks": "{m}_self_att{k}.encoder.layers",
    "general.{m}.attention.gate": "{m}_semantic_encoder.se_layer",
    "specific.{m}.linear": "{M}_encoder{k}.{specific}",
    "specific.{m}.convs.5.conv3": "{M}_encoder.conv_stack.5.stack.0.res_block.1",
    "specific.{m}.convs.5.conv1": "{M}_encoder.conv_stack.5.stack.0.res_block.3",
    "specific.{m}.convs": "{M}_encoder.conv_stack",
    "specific.{m}.head": "{M}_encoder.feed_forward",
    "decoder.{m}.project": "{M}_decoder{k}.{project}",
    "decoder.{m}.reconstruct": "{M}_decoder{k}.{reconstruct}",
    "decoder.{m}.deconvs.1.conv3": "{M}_decoder.inverse_conv_block.1.stack.0.res_block.1",
    "decoder.{m}.deconvs.1.conv1": "{M}_decoder.inverse_conv_block.1.stack.0.res_block.3",
    "decoder.{m}.deconvs": "{M}_decoder.inverse_conv_block",
}


def small_network(*, num_layers: int) -> SRCIDConfig:
    """The paper's network as published, small enough for a test; no two sizes are equal."""
    paper = paper_network(num_layers=num_layers, published=True)
    audio, video, text = (paper.modalities[m] for m in Modality)
    maps = MapConfig(gate_dim=3, attention="sum", specific_channels=10)
    assert text.stem is not None
    modalities = {
        Modality.AUDIO: audio.model_copy(update={"feature_shape": (5,), "specific_dim": 6}),
        Modality.VIDEO: video.model_copy(
            update={"feature_shape": (7, 7, 9), "specific_dim": 11, "map": maps}
        ),
        Modality.TEXT: text.model_copy(
            update={
                "feature_shape": (13,),
                "specific_dim": 14,
                "stem": text.stem.model_copy(update={"dim": 4}),
            }
        ),
    }
    sizes = {"modalities": modalities, "dim": 12, "feedforward_dim": 16}
    return paper.model_copy(update=sizes | {"quantizer": VQConfig(codebook_size=17)})


def random_network(config: SRCIDConfig) -> SRCID:
    """A network whose codebooks are in use: all codes apart, counts of their own."""
    torch.manual_seed(0)
    model = SRCID(config).eval()
    for layer in model.stages:
        codebook = layer.quantizer.codebook
        codebook.vectors.normal_()
        codebook.ema_count.uniform_(0.5, 5)
    return model


def their_name(ours: str) -> str:
    _, depth, kind, modality, rest = ours.split(".", 4)
    depths = {"0": ("", f"{modality}_linear", f"{modality}_linear", f"{modality}_rec")}
    depths["1"] = ("_2", "input_linear", "simple_linear", "simple_rec")
    k, specific, project, reconstruct = depths[depth]
    name = f"{kind}.{modality}.{rest}"
    for own, theirs in VECTOR.items():
        prefix = own.format(m=modality)
        if name.startswith(prefix + "."):
            renamed = theirs.format(
                m=modality,
                M=modality.capitalize(),
                k=k,
                specific=specific,
                project=project,
                reconstruct=reconstruct,
            )
            return renamed + name[len(prefix) :]
    raise AssertionError(ours)


def published_parts(model: SRCID) -> dict[str, object]:
    """What the trainer saves of ``model``, with the parameters of theirs that compute nothing."""
    encoder, decoder, stem = {}, {}, {}
    for name, tensor in model.named_parameters():
        tensor = tensor.detach().double()
        if name.startswith("stems.text.lstm."):
            stem[name.removeprefix("stems.text.lstm.")] = tensor
        else:
            (decoder if ".decoder." in name else encoder)[their_name(name)] = tensor
    return {
        "Encoder_parameters": encoder | unused(encoder) | codebooks(model),
        "Text_ar_lstm_parameters": stem,
        "Decoder_parameters": decoder | {"video_semantic_decoder.linear.weight": torch.ones(2, 2)},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 4e-4}]},
        "epoch": 3,
        "total_step": 1500,
    }


def unused(encoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """The template of the transformers, and the attention whose softmax has one element."""
    templates = {
        name.replace("encoder.layers.0.", "encoder_layer."): tensor
        for name, tensor in encoder.items()
        if ".encoder.layers.0." in name
    }
    attention = ("affine_video_ave.weight", "affine_video_self.bias", "ave_v_att.weight")
    return templates | {f"video_semantic_encoder.{name}": torch.ones(3) for name in attention}


def codebooks(model: SRCID) -> dict[str, Tensor]:
    own = [layer.quantizer.codebook for layer in model.stages]
    stacked = {
        "embedding": torch.stack([c.vectors for c in own]).double(),
        "ema_count": torch.stack([c.ema_count for c in own]).double(),
        "ema_weight": torch.stack([c.ema_sum for c in own]).double(),
        "unactivated_count": torch.full((len(own), len(own[0].vectors)), 7.0).double(),
    }
    if len(own) == 1:
        stacked = {name: tensor[0] for name, tensor in stacked.items()}
    return {f"Cross_quantizer.{name}": tensor for name, tensor in stacked.items()}


def write(path: Path, parts: dict[str, object]) -> Path:
    torch.save(parts, path)
    return path
