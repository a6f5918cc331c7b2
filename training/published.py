"""The authors' names for our parameters, so that their checkpoints load.

Source: modules ``AVT_MLVQVAE_Encoder`` and ``AVT_MLVQVAE_Decoder`` of the published code
("H-DCID", which is SRCID) and ``AVT_VQVAE_Encoder`` (DCID).
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

CODEBOOK = "Cross_quantizer."  # begins the names of their codebook's buffers
MODALITY = r"(?i:(?P<m>audio|video|text))"
LAYER = r"(?P<layer>_2)?"

# Their name (a whole match) -> ours; {m} is the modality, {k} the layer counted from 0.
RENAMES: tuple[tuple[str, str], ...] = (
    (rf"{MODALITY}_self_att{LAYER}\.affine_matrix\.(?P<rest>.+)", "general.{m}.project.{rest}"),
    (rf"{MODALITY}_self_att{LAYER}\.encoder\.layers\.(?P<rest>.+)", "general.{m}.blocks.{rest}"),
    (r"(?P<m>video)_semantic_encoder\.se_layer\.(?P<rest>.+)", "general.{m}.attention.gate.{rest}"),
    (
        rf"{MODALITY}_encoder{LAYER}\.(?:audio_linear|text_linear|input_linear)\.(?P<rest>.+)",
        "specific.{m}.linear.{rest}",
    ),
    (
        rf"{MODALITY}_encoder\.conv_stack\.5\.stack\.0\.res_block\.1\.(?P<rest>.+)",
        "specific.{m}.convs.5.conv3.{rest}",
    ),
    (
        rf"{MODALITY}_encoder\.conv_stack\.5\.stack\.0\.res_block\.3\.(?P<rest>.+)",
        "specific.{m}.convs.5.conv1.{rest}",
    ),
    (rf"{MODALITY}_encoder\.conv_stack\.(?P<rest>[024]\..+)", "specific.{m}.convs.{rest}"),
    (rf"{MODALITY}_encoder\.feed_forward\.(?P<rest>.+)", "specific.{m}.head.{rest}"),
    (
        rf"{MODALITY}_decoder{LAYER}\.(?:audio|video|text|simple)_linear\.(?P<rest>.+)",
        "decoder.{m}.project.{rest}",
    ),
    (
        rf"{MODALITY}_decoder{LAYER}\.(?:audio|text|simple)_rec\.(?P<rest>.+)",
        "decoder.{m}.reconstruct.{rest}",
    ),
    (
        rf"{MODALITY}_decoder\.inverse_conv_block\.1\.stack\.0\.res_block\.1\.(?P<rest>.+)",
        "decoder.{m}.deconvs.1.conv3.{rest}",
    ),
    (
        rf"{MODALITY}_decoder\.inverse_conv_block\.1\.stack\.0\.res_block\.3\.(?P<rest>.+)",
        "decoder.{m}.deconvs.1.conv1.{rest}",
    ),
    (rf"{MODALITY}_decoder\.inverse_conv_block\.(?P<rest>[024]\..+)", "decoder.{m}.deconvs.{rest}"),
)

# Parameters of theirs that compute nothing: the template of the transformer layers, the
# attention whose softmax has one element, and three heads that no loss reads.
UNUSED = re.compile(
    r".*\.encoder_layer\..+|.*\.(affine_video_\w+|ave_v_att)\..+|.*semantic_decoder\..+"
)


def our_name(theirs: str) -> str | None:
    """Return our name for a parameter of their encoder or decoder; None if it is unused there.

    Raises:
        KeyError: It is neither.
    """
    for pattern, ours in RENAMES:
        match = re.fullmatch(pattern, theirs)
        if match:
            found = match.groupdict()
            depth = 1 if found.get("layer") else 0
            return f"layers.{depth}." + ours.format(m=found["m"].lower(), rest=found["rest"])
    if UNUSED.fullmatch(theirs):
        return None
    raise KeyError(theirs)


def rename_club(theirs: str) -> str:
    """Return our name for a parameter of their ``CLUBSample_group``."""
    return theirs.replace("p_mu.", "mean.").replace("p_logvar.", "log_variance.0.")


def rename_cpc(theirs: str) -> str:
    """Return our name for a parameter of their ``Cross_CPC_AVT``."""
    theirs = re.sub(r"(audio|video|text)_ar_lstm\.", r"contexts.\1.", theirs)
    return re.sub(r"(audio|video|text)_predictors\.0\.", r"predictors.\1.", theirs)


def rename_stem(theirs: str) -> str:
    """Return our name for a parameter of their text LSTM, whatever module it lies in."""
    return f"stems.text.lstm.{theirs.rsplit('.', 1)[-1]}"


def convert_network(
    encoder: Mapping[str, Tensor], stem: Mapping[str, Tensor], decoder: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return our state dict, without the codebooks, of their three modules' state dicts.

    Raises:
        KeyError: A parameter is not one of theirs.
    """
    ours = {rename_stem(name): tensor for name, tensor in stem.items()}
    for name, tensor in (*encoder.items(), *decoder.items()):
        if name.startswith(CODEBOOK):
            continue
        renamed = our_name(name)
        if renamed is not None:
            ours[renamed] = tensor
    return ours


def convert_codebooks(encoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our quantizers' buffers, layer by layer, from their encoder's state dict.

    The sum of the moving average is made of vector and count: theirs does not follow a vector
    that was moved to live data. How long a code was unused starts anew: they counted passes, six
    a step, where we count steps.

    Raises:
        KeyError: There is no codebook, or no counts.
    """
    vectors, counts = encoder[CODEBOOK + "embedding"], encoder[CODEBOOK + "ema_count"]
    if vectors.dim() == 2:  # DCID has one layer, and no axis for it
        vectors, counts = vectors[None], counts[None]
    ours = {}
    for depth, (table, count) in enumerate(zip(vectors, counts, strict=True)):
        prefix = f"layers.{depth}.quantizer.codebook."
        ours[prefix + "vectors"], ours[prefix + "ema_count"] = table, count
        ours[prefix + "ema_sum"] = table * count.unsqueeze(-1)
        ours[prefix + "unused_for"] = torch.zeros(len(table), dtype=torch.int64)
    return ours
