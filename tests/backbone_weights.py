"""Makes weights under their published names, random and of any width: the real ones are not here.

Written as users have them: VGG19 and VGGish as files, BERT as a folder.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from torch import Tensor

VGG19_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # width, convolutions
VGGISH_STAGES = ((64, 1), (128, 1), (256, 2), (512, 2))
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "rain", "dog", "bark", "##s", "a", "it", "##t"]


def vgg19_weights(*, narrower: int = 1) -> dict[str, Tensor]:
    """Return torchvision's VGG19, each width divided by ``narrower``; a stump of its classifier."""
    weights = _convolutions(VGG19_STAGES, inputs=3, narrower=narrower)
    return weights | {"classifier.0.weight": torch.ones(2, 2), "classifier.0.bias": torch.ones(2)}


def vggish_weights(*, narrower: int = 1) -> dict[str, Tensor]:
    """Return VGGish, each width divided by ``narrower``."""
    weights = _convolutions(VGGISH_STAGES, inputs=1, narrower=narrower)
    inputs = 512 // narrower * 6 * 4
    for index, outputs in ((0, 4096), (2, 4096), (4, 128)):
        outputs //= narrower
        weights |= _layer(f"embeddings.{index}", (outputs, inputs))
        inputs = outputs
    return weights


def write_bert(folder: Path) -> None:
    """Write a BERT folder of transformers: two layers, 16 features a word."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=40,
        initializer_range=0.5,  # so that features differ by more than rounding
    )
    network = BertModel(config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    save_file(
        {name: x.contiguous() for name, x in network.state_dict().items()},
        folder / "model.safetensors",
    )
    numbers = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))


def _convolutions(
    stages: Sequence[tuple[int, int]], *, inputs: int, narrower: int
) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    index = 0
    for width, count in stages:
        outputs = width // narrower
        for _ in range(count):
            weights |= _layer(f"features.{index}", (outputs, inputs, 3, 3))
            inputs = outputs
            index += 2  # a convolution and its ReLU
        index += 1  # the pool
    return weights


def _layer(name: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Return a weight that keeps the size of what it is applied to, and a bias."""
    generator = torch.Generator().manual_seed(len(name) + shape[0])
    scale = (6 / torch.Size(shape[1:]).numel()) ** 0.5
    weight = torch.empty(shape).uniform_(-scale, scale, generator=generator)
    bias = torch.empty(shape[0]).uniform_(0, 0.1, generator=generator)
    return {f"{name}.weight": weight, f"{name}.bias": bias}
