"""The codes of a data set: computed once a checkpoint, they are all that the tasks look at.

Shape letters: B batch, N items, T steps, F feature dim, D hidden dim, K layers, Q codes a step
and layer, C = sum of Q over the layers: code rows.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model.modality import Modality
from model.srcid import SRCID

BATCH = 32  # items that go through the network at once


class Encoded(NamedTuple):
    """What the network makes of an item."""

    codes: Tensor  # [C, T] int64, layer 1's rows first
    general: Tensor  # [K, T, D] the general vectors, not quantized


def encode_features(
    model: SRCID, modality: Modality, features: Iterable[Tensor]
) -> Iterator[Encoded]:
    """Yield each item's codes; ``features`` are ``[T, *F]`` each, of any lengths.

    What is longer than a clip of training is cut into pieces of that length, sentences
    excepted: as the service does.
    """
    waiting = iter(features)
    while group := list(islice(waiting, BATCH)):
        yield from _encode_group(model, modality, group)


@torch.no_grad()
def _encode_group(model: SRCID, modality: Modality, items: Sequence[Tensor]) -> list[Encoded]:
    whole = modality is Modality.TEXT
    pieces = [(item,) if whole else item.split(model.config.max_steps) for item in items]
    rows = [row for item in pieces for row in item]
    lengths = torch.tensor([len(row) for row in rows])
    device = next(model.parameters()).device
    batch = pad_sequence(rows, batch_first=True).to(device)
    mask = (torch.arange(batch.shape[1]) < lengths[:, None]).to(device)
    layers = model.quantize({modality: batch}, {modality: mask})
    codes = torch.cat([out.codes[modality] for out in layers], 1).cpu()  # [B, C, T]
    general = torch.stack([out.general[modality] for out in layers], 1).cpu()  # [B, K, T, D]
    found = zip(codes, general, lengths.tolist(), strict=True)
    parts = iter([Encoded(c[:, :length], z[:, :length]) for c, z, length in found])
    return [_joined(list(islice(parts, len(item)))) for item in pieces]


def _joined(parts: Sequence[Encoded]) -> Encoded:
    return Encoded(
        torch.cat([own.codes for own in parts], 1), torch.cat([own.general for own in parts], 1)
    )


def with_dropout(model: SRCID) -> SRCID:
    """Return a copy whose dropout is active, as the published probes are trained on."""
    return copy.deepcopy(model).train()


class Decoded(NamedTuple):
    """The vectors of codes. Codes repeat, so each distinct vector is kept once."""

    table: Tensor  # [U, D'] D' is D for each layer that counts
    rows: Tensor  # [N] of ``table``


@torch.no_grad()
def decode(model: SRCID, codes: Tensor, layers: Sequence[int]) -> Decoded:
    """Return what the steps ``codes`` ``[C, N]`` stand for.

    Args:
        model: Whose codes they are.
        codes: Of all layers.
        layers: Indices from 0 of the layers that count; their vectors stand side by side.
    """
    device = next(model.parameters()).device
    own = codes.split([stage.quantizer.num_codebooks for stage in model.stages])
    chosen = [own[layer] for layer in layers]
    distinct, index = torch.cat(chosen).unique(dim=1, return_inverse=True)  # [Q's, U], [N]
    parts = distinct.to(device).split([len(rows) for rows in chosen])
    vectors = [
        model.stages[layer].quantizer.decode(rows[None])[0]
        for layer, rows in zip(layers, parts, strict=True)
    ]
    return Decoded(torch.cat(vectors, -1).cpu(), index)


def layer_choices(model: SRCID) -> dict[str, tuple[int, ...]]:
    """Return the layers whose codes may be looked at, by what a table calls them."""
    depths = range(len(model.stages))
    choices: dict[str, tuple[int, ...]] = {str(depth + 1): (depth,) for depth in depths}
    return choices if len(choices) == 1 else choices | {"both": tuple(depths)}
