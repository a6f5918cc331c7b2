"""The figures of a checkpoint on a bank, as text for people."""

from collections.abc import Iterator

from model.modality import Modality
from training.evaluation.bank import BankReport
from training.evaluation.disentanglement import Disentanglement


def show(report: BankReport, parts: dict[Modality, list[Disentanglement]]) -> str:
    """Return all figures as lines of text."""
    return "\n".join([*_retrieval(report), "", *_codebooks(report), "", *_disentanglement(parts)])


def _retrieval(report: BankReport) -> Iterator[str]:
    directions = next(iter(report.retrieval.values()))
    yield "class mAP".ljust(24) + "".join(name.rjust(16) for name in directions)
    for (layers, kind), figures in report.retrieval.items():
        name = f"{'layers' if layers == 'both' else 'layer'} {layers}, {kind}"
        yield name.ljust(24) + "".join(f"{value:16.3f}" for value in figures.values())
    yield "chance".ljust(24) + "".join(f"{report.chance:16.3f}" for _ in directions)


def _codebooks(report: BankReport) -> Iterator[str]:
    pairs = list(report.layers[0].agreement)
    yield (
        "codebook".ljust(12)
        + "used  perplexity  near-duplicates"
        + "".join(f"agreement {pair}".rjust(27) for pair in pairs)
    )
    for depth, own in enumerate(report.layers, start=1):
        figures = f"{own.codes_used:4}  {own.perplexity:10.1f}  {own.near_duplicates:15.2f}"
        shared = "".join(f"{own.agreement[pair]:27.2f}" for pair in pairs)
        yield f"layer {depth}".ljust(12) + figures + shared


def _disentanglement(parts: dict[Modality, list[Disentanglement]]) -> Iterator[str]:
    yield "specific part".ljust(20) + "MI (nats)  CLUB fit  its floor  variance"
    for m, layers in parts.items():
        for depth, own in enumerate(layers, start=1):
            figures = f"{own.mi:9.2f} {own.fit:9.1f} {own.floor:10.1f} {own.specific_variance:9.4f}"
            yield f"layer {depth}, {m}".ljust(20) + figures
