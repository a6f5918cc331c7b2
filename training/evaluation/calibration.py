"""From scores to probabilities: logistic curves fitted to pairs of a bank's items.

A pair is a match where both items have the same class. Score for score as the service computes
them, so that what is fitted here holds there.
Shape letters: Nq queries, Ni items, T steps, W windows, K layers, D hidden dim; C code rows.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from model.calibration import WINDOW, Calibration, Logistic, pair
from model.encoder import Vocabulary, vocabulary_of
from model.modality import Modality
from model.srcid import SRCID
from training.data.bank import Bank
from training.evaluation.bank import evaluate_bank

Codes = NDArray[np.int16]  # [C, T]

RIDGE = 1e-3  # keeps the slope finite where a score tells matches from others without a mistake
MAX_STEPS = 100  # of Newton's method, which needs about ten
KINDS = ("mean", "max", "window")


def calibrate(
    model: SRCID, bank: Bank, *, fit_on: str, held_out: str, foreign: Bank | None = None
) -> Calibration:
    """Return what the scores of ``model`` mean.

    Args:
        model: The checkpoint.
        bank: Items with classes.
        fit_on: The split whose pairs the curves are fitted to.
        held_out: The split on which the agreement of codes is measured, and how far items lie
            from their codes: those that it was trained on lie nearer than others.
        foreign: Items of anything that the checkpoint was not trained on.
    """
    vocabulary = vocabulary_of(model)
    known = sorted(set(vocabulary.layers.tolist()))
    choices = {str(layer): [layer] for layer in known} | {"both": known}
    codes = {m: _codes(model, bank, m, fit_on) for m in model.modalities}
    labels = {m: [entry.label for entry in bank.select(m, fit_on)] for m in model.modalities}
    matches = {}
    for query, item in product(model.modalities, repeat=2):
        is_match = np.array(labels[query])[:, None] == np.array(labels[item])[None]  # [Nq, Ni]
        counts = ~np.eye(len(is_match), dtype=bool) if query is item else np.ones_like(is_match)
        for (name, layers), kind in product(choices.items(), KINDS):
            found = scores(codes[query], codes[item], vocabulary, layers, kind=kind)
            curve = fit_logistic(found[counts], is_match[counts])
            matches[pair(query, item, layers=name, kind=kind)] = curve
    reports = evaluate_bank(model, bank, held_out).layers
    agreement = {
        str(layer): {names: round(share, 3) for names, share in report.agreement.items()}
        for layer, report in enumerate(reports, start=1)
    }
    familiar = {}
    for m in model.modalities if foreign else ():
        assert foreign is not None
        near, far = errors(model, bank, m, held_out), errors(model, foreign, m, None)
        if len(far):
            is_near = np.arange(len(near) + len(far)) < len(near)
            familiar[m] = fit_logistic(np.concatenate([near, far]), is_near, is_balanced=True)
    return Calibration(matches=matches, familiar=familiar, agreement=agreement)


@torch.inference_mode()
def errors(model: SRCID, bank: Bank, modality: Modality, split: str | None) -> NDArray[np.float64]:
    """Return how far items lie from their codes (``Encoder.quantize``); of all splits: None."""
    device = next(model.parameters()).device
    found = []
    for entry in bank.entries:
        if entry.modality is modality and split in (None, entry.split):
            layer = model({modality: bank.features[entry.id][:1].to(device)}).layers[0]
            distances = (layer.general[modality] - layer.quantized[modality]).norm(dim=-1)
            found.append(float(distances.mean()))
    return np.array(found)


def scores(
    queries: Sequence[Codes],
    items: Sequence[Codes],
    vocabulary: Vocabulary,
    layers: Sequence[int],
    *,
    kind: str,
) -> NDArray[np.float64]:
    """Return ``[Nq, Ni]``: cosines of each query's mean with the parts of each item.

    Args:
        queries: Codes of the queries.
        items: Codes of what is searched.
        vocabulary: What they stand for.
        layers: The layers that are compared.
        kind: "mean": with the mean of all steps; "max": with the step that is most like it;
            "window": with the mean of the three steps in a row that is.
    """
    towards = _unit(np.stack([vocabulary.pooled(own, layers) for own in queries]))
    columns = []
    for own in items:
        steps = vocabulary.steps(own, layers).astype(np.float64)  # [T, K * D]
        length = {"mean": len(steps), "max": 1, "window": min(WINDOW, len(steps))}[kind]
        windows = np.lib.stride_tricks.sliding_window_view(steps, length, axis=0).mean(-1)
        columns.append((towards @ _unit(windows).T).max(1))  # over W
    return np.stack(columns, 1)


def fit_logistic(
    found: NDArray[np.float64], is_match: NDArray[np.bool_], *, is_balanced: bool = False
) -> Logistic:
    """Return the curve of greatest likelihood for scores ``[N]`` and what they were of.

    Args:
        found: The scores.
        is_match: Whether each was a match's.
        is_balanced: Count matches and others as if there were as many of each.
    """
    design = np.stack([found, np.ones_like(found)], 1)  # [N, 2]
    target = is_match.astype(np.float64)
    counts = np.where(is_match, 0.5 / target.mean(), 0.5 / (1 - target.mean()))  # [N]
    counts = counts if is_balanced else np.ones_like(target)
    weights, penalty = np.zeros(2), np.array([RIDGE, 1e-9])
    for _ in range(MAX_STEPS):
        chance = 1 / (1 + np.exp(-(design @ weights).clip(-700, 700)))
        gradient = design.T @ (counts * (chance - target)) + penalty * weights
        curvature = (design.T * (counts * chance * (1 - chance))) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    slope, bias = weights.round(4).tolist()
    return Logistic(slope=slope, bias=bias)


@torch.inference_mode()
def _codes(model: SRCID, bank: Bank, modality: Modality, split: str) -> list[Codes]:
    device = next(model.parameters()).device
    found = (
        model.encode({modality: bank.features[entry.id][:1].to(device)})[modality][0]
        for entry in bank.select(modality, split)
    )
    return [own.cpu().numpy().astype(np.int16) for own in found]


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)
    return np.asarray(vectors / length, np.float64)
