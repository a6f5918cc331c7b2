"""All figures of a checkpoint on a benchmark, by name: what is kept of a run.

Names are paths: ``proper/both/AVE V>A/accuracy``, ``retrieval/1/vectors/many T>V/recall_at_1``,
``vocabulary/1/overlap/audio ~ video``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from model.srcid import SRCID
from training.evaluation.captions import KINDS, CaptionRetrieval
from training.evaluation.encoding import layer_choices
from training.evaluation.labelled_codes import CodeVectors, FeatureVectors
from training.evaluation.probe import ProbeConfig
from training.evaluation.runner import PROTOCOLS, ProtocolName, run_probes
from training.evaluation.tasks import EvaluationData
from training.evaluation.vocabulary import vocabularies

Figures = dict[str, float]


def all_figures(
    model: SRCID,
    data: EvaluationData,
    *,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    probe: ProbeConfig | None = None,
) -> Figures:
    """Return every figure of ``model`` on ``data``; a data set is encoded once."""
    figures = retrieval_figures(model, data) | vocabulary_figures(model, data)
    codes = CodeVectors(model, data)
    for layers, depths in layer_choices(model).items():
        vectors = codes.of_layers(depths)
        for protocol in protocols:
            if protocol == "published" and layers == "2":
                continue  # no table of the paper has it
            found = run_probes(data.suite.tasks, vectors, protocol=protocol, config=probe)
            for task, own in found.items():
                figures |= named(own, protocol, layers, task.name)
    return figures


def ceiling_figures(data: EvaluationData, *, probe: ProbeConfig | None = None) -> Figures:
    """Return what probes of the frozen features, not of codes, reach within a modality."""
    found = run_probes(data.suite.within(), FeatureVectors(data), protocol="proper", config=probe)
    return {
        name: value
        for task, own in found.items()
        for name, value in named(own, "proper", "features", task.name).items()
    }


def retrieval_figures(model: SRCID, data: EvaluationData) -> Figures:
    """Return ranks and recall of clips and sentences, for each choice of layers and each kind."""
    figures: Figures = {}
    for task in data.suite.retrieval:
        retrieval = CaptionRetrieval(model, data.captioned(task), data.words)
        for layers, depths in layer_choices(model).items():
            for kind in KINDS:
                for direction, ranks in retrieval.figures(depths, kind).items():
                    column = task.name(direction)
                    figures |= named(ranks._asdict(), "retrieval", layers, kind, column)
    return figures


def vocabulary_figures(model: SRCID, data: EvaluationData) -> Figures:
    """Return how each codebook is used, and how far the modalities share it."""
    figures: Figures = {}
    clips = data.paired()
    layers = vocabularies(model, clips) if clips else []
    for depth, own in enumerate(layers, start=1):
        for name, value in asdict(own).items():
            parts = value if isinstance(value, dict) else {"": value}
            for key, number in parts.items():
                path = ("vocabulary", str(depth), name, *([str(key)] if key else []))
                figures["/".join(path)] = float(number)
    return figures


def named(figures: Mapping[str, float], *path: str) -> Figures:
    """Return ``figures`` under the path that their names begin with."""
    return {"/".join((*path, name)): float(value) for name, value in figures.items()}
