"""From scores to probabilities: logistic curves fitted to pairs of a bank's items.

A pair is a match where both items have the same class. Score for score as the service computes
them, so that what is fitted here holds there.
Shape letters: Nq queries, Ni items, T steps, W windows, K layers, D hidden dim; C code rows.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.calibration import WINDOW, Calibration, Logistic, pair
from model.encoder import Codes, Encoder, Quantized, Vocabulary, side_by_side, vocabulary_of
from model.errors import DataError
from model.modality import Modality
from model.srcid import SRCID
from training.data.bank import Bank
from training.evaluation.bank import evaluate_bank

RIDGE = 1e-3  # keeps the slope finite where a score tells matches from others without a mistake
MAX_STEPS = 100  # of Newton's method, which needs about ten
KINDS = ("mean", "max", "window")


class Observed(NamedTuple):
    """Scores of some pairs, and whether the two are about the same."""

    scores: NDArray[np.float64]  # [N]
    is_match: NDArray[np.bool_]  # [N]


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

    Raises:
        DataError: There is nothing that a curve could be fitted to.
    """
    matches = fitted([observe(model, bank, fit_on)])
    if not matches:
        raise DataError(
            f"the split {fit_on!r} needs pairs of items of the same class and of different "
            "classes: label more items"
        )
    familiar = {}
    for m in model.modalities if foreign else ():
        assert foreign is not None
        near, far = errors(model, bank, m, held_out), errors(model, foreign, m, None)
        if len(far):
            is_near = np.arange(len(near) + len(far)) < len(near)
            familiar[m] = fit_logistic(np.concatenate([near, far]), is_near, is_balanced=True)
    return Calibration(
        matches=matches, familiar=familiar, agreement=agreement_of(model, bank, held_out)
    )


def observe(model: SRCID, bank: Bank, split: str) -> dict[str, Observed]:
    """Return the scores of all pairs of items of a split, by the keys of a calibration."""
    vocabulary = vocabulary_of(model)
    known = sorted(set(vocabulary.layers.tolist()))
    choices = {str(layer): [layer] for layer in known} | {"both": known}
    items = {m: _quantized(model, bank, m, split) for m in model.modalities}
    labels = {m: [entry.label for entry in bank.select(m, split)] for m in model.modalities}
    observed = {}
    for query, item in product(model.modalities, repeat=2):
        is_match = np.array(labels[query])[:, None] == np.array(labels[item])[None]  # [Nq, Ni]
        counts = ~np.eye(len(is_match), dtype=bool) if query is item else np.ones_like(is_match)
        for (name, layers), kind in product(choices.items(), KINDS):
            towards = np.stack([side_by_side(own.query, layers) for own in items[query]])
            codes = [own.codes for own in items[item]]
            found = scores(towards, codes, vocabulary, layers, kind=kind)
            key = pair(query, item, layers=name, kind=kind)
            observed[key] = Observed(found[counts], is_match[counts])
    return observed


def fitted(observed: Sequence[Mapping[str, Observed]]) -> dict[str, Logistic]:
    """Return a curve for each key, fitted to what was observed in all of ``observed``.

    None for a key of which only matches, or none, were observed: a curve is between the two.
    """
    together = {
        key: Observed(
            np.concatenate([own[key].scores for own in observed]),
            np.concatenate([own[key].is_match for own in observed]),
        )
        for key in observed[0]
    }
    return {
        key: fit_logistic(own.scores, own.is_match)
        for key, own in together.items()
        if own.is_match.any() and not own.is_match.all()
    }


def agreement_of(model: SRCID, bank: Bank, split: str) -> dict[str, dict[str, float]]:
    """Return how far the same code means the same in two modalities, by layer and pair."""
    reports = evaluate_bank(model, bank, split).layers
    return {
        str(layer): {names: round(share, 3) for names, share in report.agreement.items()}
        for layer, report in enumerate(reports, start=1)
    }


def errors(model: SRCID, bank: Bank, modality: Modality, split: str | None) -> NDArray[np.float64]:
    """Return how far items lie from their codes (``Encoder.quantize``); of all splits: None."""
    return np.array([own.error for own in _quantized(model, bank, modality, split)])


def scores(
    queries: NDArray[np.float32],
    items: Sequence[Codes],
    vocabulary: Vocabulary,
    layers: Sequence[int],
    *,
    kind: str,
) -> NDArray[np.float64]:
    """Return ``[Nq, Ni]``: cosines of each query with the parts of each item.

    Args:
        queries: ``[Nq, len(layers) * D]`` what the queries are compared by.
        items: Codes of what is searched.
        vocabulary: What they stand for.
        layers: The layers that are compared.
        kind: "mean": with the mean of all steps; "max": with the step that is most like it;
            "window": with the mean of the three steps in a row that is.
    """
    towards = _unit(queries)
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


def _quantized(model: SRCID, bank: Bank, modality: Modality, split: str | None) -> list[Quantized]:
    """Return the bank's items of a modality and a split (None: of all) as a service has them."""
    encoder = Encoder(model, {}, fingerprint="")
    chosen = [e for e in bank.entries if e.modality is modality and split in (None, e.split)]
    return [encoder.quantize([(modality, bank.features[e.id][0])])[0] for e in chosen]


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)
    return np.asarray(vectors / length, np.float64)
