"""The convolutions of the VGG networks, under the names of their published weights.

Source: Simonyan and Zisserman, ICLR 2015.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from model.checkpoint import misfit
from model.errors import CheckpointError


def vgg_convolutions(weights: Mapping[str, Tensor], stages: Sequence[int]) -> nn.Sequential:
    """Return 3 x 3 convolutions with ReLU, each stage of them followed by a 2 x 2 max pool.

    Args:
        weights: ``features.{index}.weight`` and ``.bias``, as wide as they are; others are left.
        stages: How many convolutions each stage has.

    Raises:
        CheckpointError: They are the weights of another network.
    """
    prefix = "features."
    own = {n.removeprefix(prefix): x.float() for n, x in weights.items() if n.startswith(prefix)}
    with torch.device("meta"):  # no time spent on random weights
        network = nn.Sequential(*_layers(own, stages))
    if fault := misfit(network.state_dict(), own):
        raise CheckpointError(
            f"not the weights of a network of {sum(stages)} convolutions ({fault}); "
            "name the file of the right network"
        )
    network.load_state_dict(own, assign=True)
    return network


def _layers(weights: Mapping[str, Tensor], stages: Sequence[int]) -> Iterator[nn.Module]:
    index = 0  # of the layer in the published sequence
    for count in stages:
        for _ in range(count):
            weight = weights.get(f"{index}.weight", torch.empty(()))
            outputs, inputs, *_ = (*weight.shape, 1, 1)  # a wrong weight's are of no matter
            yield nn.Conv2d(inputs, outputs, 3, padding=1)
            yield nn.ReLU(inplace=True)
            index += 2
        yield nn.MaxPool2d(2)
        index += 1
