"""Codebooks fitted to data at once: where a layer joins, and after the last step.

Shape letters: B batch, T time steps, N vectors, D hidden dim.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import cast

import torch
from torch import Tensor

from model.modality import Modality
from model.network.conditional_mean import ConditionalMean
from model.network.layer import LayerOutput
from model.quantizers.codebook import clip_vote, paired_mean
from model.quantizers.rvq import ResidualQuantizer
from model.quantizers.vq import VectorQuantizer
from model.srcid import SRCID
from training.alignment.codebooks import fit_codebooks, k_means
from training.data.sample import Batch

BATCHES = 25  # that are looked at
VECTORS = 10_000  # at most
TOGETHER = 3  # steps whose codes are fitted to tell one thing: with more, one step tells less
SOUND_AND_PICTURE = (Modality.AUDIO, Modality.VIDEO)  # sentences have many steps, pictures one


def start_codebook(model: SRCID, depth: int, batches: Iterable[Batch], *, seed: int) -> None:
    """Set the codebook of layer ``depth``, from 0, to k-means of what its updates follow.

    A quantizer without a codebook that follows averages has nothing to begin with. The means for
    a code of the layer before are taken first: this layer sees what they leave.
    """
    batches = list(islice(batches, BATCHES))
    if depth:
        take_means(model, depth - 1, batches)
    quantizer = model.stages[depth].quantizer
    generator = torch.Generator().manual_seed(seed)
    if isinstance(quantizer, VectorQuantizer):
        codebooks = [quantizer.codebook]
    elif isinstance(quantizer, ResidualQuantizer):
        codebooks = quantizer.stages
    else:
        return
    outputs = _outputs(model, depth, batches)
    left = _some(torch.cat([_followed(quantizer, *own) for own in outputs]), generator)
    for codebook in codebooks:
        vectors = k_means(left, len(codebook.vectors), generator=generator)
        if isinstance(quantizer, ResidualQuantizer):
            vectors[0] = 0
        codebook.begin(vectors)
        left = left - codebook.vectors[codebook.nearest(left)]


def take_means(model: SRCID, depth: int, batches: Iterable[Batch]) -> None:
    """Take layer ``depth``'s means for a code anew, all of ``batches`` alike."""
    means = model.stages[depth].conditional_mean
    if means is None:
        return
    for mean in means.values():
        cast("ConditionalMean", mean).reset()
    for out, masks in _outputs(model, depth, batches):
        for m, vectors in model.stages[depth].uncentred(out).items():
            mean = cast("ConditionalMean", means[m])
            mean.update(vectors, out.codes[m][:, 0], masks[m], decay=1.0)


def refit_residual(model: SRCID, batches: Iterable[Batch], *, seed: int) -> None:
    """Fit the last layer's residual codebook to what sounds and pictures leave to it."""
    depth = len(model.stages) - 1
    quantizer = model.stages[depth].quantizer
    if not isinstance(quantizer, ResidualQuantizer):
        return
    batches = list(islice(batches, BATCHES))
    if depth:
        take_means(model, depth - 1, batches)
    vectors = [
        out.general[m][masks[m]]
        for out, masks in _outputs(model, depth, batches)
        for m in SOUND_AND_PICTURE
        if m in out.general
    ]
    generator = torch.Generator().manual_seed(seed)
    fitted = _some(torch.cat(vectors), generator)
    fit_codebooks(quantizer, fitted, steps=TOGETHER, generator=generator)


@torch.no_grad()
def _outputs(
    model: SRCID, depth: int, batches: Iterable[Batch]
) -> Iterator[tuple[LayerOutput, dict[Modality, Tensor]]]:
    """Yield layer ``depth``'s part of each batch, as in use, and the masks."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    for batch in batches:
        batch = batch.to(device)
        yield model(batch.features, batch.masks, num_layers=depth + 1).layers[depth], batch.masks
    model.train(training)


def _followed(
    quantizer: VectorQuantizer | ResidualQuantizer, out: LayerOutput, masks: dict[Modality, Tensor]
) -> Tensor:
    """Return the vectors ``[N, D]`` of a batch that an update of ``quantizer`` would follow."""
    if isinstance(quantizer, VectorQuantizer) and quantizer.joint:
        vote = clip_vote if quantizer.by_clip else paired_mean
        vectors, present = vote(out.general, masks)
        return vectors[present]
    return torch.cat([z[masks[m]] for m, z in out.general.items()])


def _some(vectors: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(vectors), generator=generator)[:VECTORS]
    return vectors[order.to(vectors.device)]
