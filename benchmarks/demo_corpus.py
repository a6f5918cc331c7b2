"""`default` on material from elsewhere: the demo corpus, each clip asked for by its own title.

    OMP_NUM_THREADS=1 python -m benchmarks.demo_corpus DEMO --out benchmarks/results/...

``DEMO`` is the folder that `srcid demo --folder DEMO` has made: 94 clips, a drawing or photo of a
thing each and a recording, in pictures and sounds that no checkpoint was made with. Beside the
label bridge (`benchmarks.label_bridge`). A query has one right answer, the clip of that title,
though some are nearly the same (a pig, a golden pig).
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from app.demo.corpus import Corpus
from benchmarks.label_bridge import Way, ways
from model.encoder import Encoder
from model.media import read_clip
from model.modality import Modality
from training.data.sentences import TextVectors
from training.evaluation.ranks import rank_figures
from training.evaluation.retrieval import cosines

Features = dict[Modality, list[torch.Tensor]]


def main(
    demo: Annotated[Path, typer.Argument(help="The folder of `srcid demo`.")],
    checkpoint: Annotated[str, typer.Option(help="A folder, or a shipped one's name.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Rank all clips by each title, and print where the own clip stands."""
    torch.set_num_threads(1)
    corpus = Corpus.model_validate_json((demo / "corpus.json").read_text(encoding="utf-8"))
    encoder = Encoder.from_pretrained(checkpoint)
    features = _features(encoder, demo, corpus)
    lines = [
        "# The demo corpus, asked by titles",
        "",
        f"`python -m benchmarks.demo_corpus`: `{checkpoint}`, {len(corpus.clips)} clips of",
        f"{corpus.kind}; R@1 / R@5 / R@10 in percent / median rank of the clip of that title.",
        "",
        "| | title > picture | title > sound |",
        "|---|---:|---:|",
    ]
    own = ways(encoder.model, encoder.backbones, TextVectors(encoder.backbones[Modality.TEXT]))
    for name in ("bridge", "ours", "ours, nothing quantized"):
        cells = [_cell(own[name], features, m) for m in (Modality.VIDEO, Modality.AUDIO)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _features(encoder: Encoder, demo: Path, corpus: Corpus) -> Features:
    features: Features = {m: [] for m in Modality}
    for clip in corpus.clips:
        for item in (read_clip(demo / "clips" / f"{clip.id}.mp4"), clip.title):
            prepared = encoder.prepare(item)
            for m, own in zip(prepared, encoder.features(list(prepared.items())), strict=True):
                features[m].append(own)
    return features


@torch.inference_mode()
def _cell(way: Way, features: Features, m: Modality) -> str:
    scores = cosines(way.query(Modality.TEXT, features[Modality.TEXT]), way.item(m, features[m]))
    is_own: NDArray[np.bool_] = np.eye(len(scores), dtype=bool)
    return " / ".join(f"{value:.0f}" for value in rank_figures(scores, is_own)[:4])


if __name__ == "__main__":
    typer.run(main)
