"""A checkpoint on a bank: class retrieval across modalities, and what became of the codebooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from model.modality import Modality
from model.srcid import SRCID
from training.data.bank import Bank
from training.evaluation.codebook import agreement, histogram, near_duplicates, perplexity
from training.evaluation.retrieval import class_map, cosines

DIRECTIONS = (
    (Modality.TEXT, Modality.AUDIO),
    (Modality.TEXT, Modality.VIDEO),
    (Modality.AUDIO, Modality.VIDEO),
    (Modality.VIDEO, Modality.AUDIO),
)


@dataclass(frozen=True)
class Encoded:
    """One modality's items of one split, encoded one by one."""

    labels: NDArray[np.int64]  # [N]
    codes: list[list[NDArray[np.int64]]]  # by layer, by item: [Q * T], stage q's from q * L on
    quantized: list[NDArray[np.float32]]  # by layer: [N, D], mean over steps of the codes' vectors
    continuous: list[NDArray[np.float32]]  # by layer: [N, D], mean of the general vectors


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer's codebook on the evaluated items."""

    codes_used: int
    perplexity: float
    near_duplicates: float  # share of used codes
    agreement: dict[str, float]  # by pair of modalities, mean overlap of class histograms


@dataclass(frozen=True)
class BankReport:
    """All figures of a checkpoint on a bank."""

    # By (layers, "codes" or "continuous"), by direction: class mAP. Layers: "1", "2", "both".
    retrieval: dict[tuple[str, str], dict[str, float]]
    layers: list[LayerReport]
    chance: float  # class mAP of a random order, about one over the number of classes


def evaluate_bank(model: SRCID, bank: Bank, split: str) -> BankReport:
    """Evaluate ``model`` on the items of ``bank``'s ``split``, each item by itself."""
    encoded = {m: encode_items(model, bank, m, split) for m in model.modalities}
    depths = list(range(len(model.stages)))
    choices = {str(depth + 1): [depth] for depth in depths}
    if len(depths) > 1:
        choices["both"] = depths
    retrieval = {}
    for name, chosen in choices.items():
        for kind in ("codes", "continuous"):
            retrieval[name, kind] = _directions(encoded, chosen, kind)
    reports = [_layer_report(model, encoded, depth) for depth in depths]
    return BankReport(retrieval, reports, chance=1 / len(bank.classes))


@torch.inference_mode()
def encode_items(model: SRCID, bank: Bank, modality: Modality, split: str) -> Encoded:
    """Encode the first view of every item of one modality and split."""
    entries = bank.select(modality, split)
    device = next(model.parameters()).device
    depths = range(len(model.stages))
    codes: list[list[NDArray[np.int64]]] = [[] for _ in depths]
    quantized: list[list[NDArray[np.float32]]] = [[] for _ in depths]
    continuous: list[list[NDArray[np.float32]]] = [[] for _ in depths]
    for entry in entries:
        features = bank.features[entry.id][:1].to(device)
        for depth, out in enumerate(model.quantize({modality: features})):
            size = model.stages[depth].quantizer.codebook_size
            stages = out.codes[modality][0].cpu().numpy()  # [Q, T]
            codes[depth].append((stages + size * np.arange(len(stages))[:, None]).ravel())
            quantized[depth].append(out.quantized[modality][0].mean(0).cpu().numpy())
            continuous[depth].append(out.general[modality][0].mean(0).cpu().numpy())
    labels = np.array([bank.classes.index(entry.label) for entry in entries])
    return Encoded(
        labels, codes, [np.stack(q) for q in quantized], [np.stack(c) for c in continuous]
    )


def _directions(
    encoded: dict[Modality, Encoded], layers: Sequence[int], kind: str
) -> dict[str, float]:
    vectors = {
        m: np.concatenate(
            [(own.quantized if kind == "codes" else own.continuous)[layer] for layer in layers], 1
        )
        for m, own in encoded.items()
    }
    return {
        f"{query} -> {item}": class_map(
            cosines(vectors[query], vectors[item]), encoded[query].labels, encoded[item].labels
        )
        for query, item in DIRECTIONS
        if query in encoded and item in encoded
    }


def _layer_report(model: SRCID, encoded: dict[Modality, Encoded], depth: int) -> LayerReport:
    table = model.stages[depth].quantizer.tables().detach().flatten(0, 1)  # [Q * L, D]
    shares = histogram([row for e in encoded.values() for row in e.codes[depth]], len(table))
    by_class = {
        m: {
            str(c): histogram(
                [row for row, own in zip(e.codes[depth], e.labels, strict=True) if own == c],
                len(table),
            )
            for c in np.unique(e.labels)
        }
        for m, e in encoded.items()
    }
    return LayerReport(
        int((shares > 0).sum()),
        perplexity(shares),
        near_duplicates(table.cpu().numpy(), shares > 0),
        {f"{m} ~ {n}": agreement(by_class[m], by_class[n]) for m, n in combinations(encoded, 2)},
    )
