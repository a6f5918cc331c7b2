"""BERT and its like: a feature vector a word, in context.

The network is PyTorch's own transformer encoder, which is BERT's layer for layer: importing
the transformers library for it takes four seconds.
Shape letters: B sentences, L tokens, W words of one sentence, F features.
Source: Devlin et al., NAACL 2019.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from model.backbones.base import Backbone
from model.checkpoint import misfit
from model.compiled import Compiled
from model.errors import CheckpointError, MediaError
from model.media import Clip
from model.modality import Modality

MAX_WORDS = 64  # of a piece: a longer text is read piece by piece
TOKENS = "embeddings.word_embeddings.weight"  # the published name of their table
SPECIAL = -1  # in the place of a word's index: a token that is no part of a word


def load_bert(folder: Path) -> "Bert":
    """Load a BERT folder as Hugging Face lays it out.

    Args:
        folder: With ``config.json``, ``model.safetensors`` and ``tokenizer.json``.

    Raises:
        CheckpointError: A file is missing or holds another kind of network.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        weights = load_file(folder / "model.safetensors")
        # The table of tokens from a mapping of its own: of the other all pages are read, once.
        apart = load_file(folder / "model.safetensors")
        weights |= {name: apart[name] for name in weights if _plain(name) == TOKENS}
        rules = (folder / "tokenizer.json").read_text("utf-8")
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} is not a BERT folder with config.json, model.safetensors and "
            f"tokenizer.json: {error}"
        ) from error
    try:
        tokenizer = Tokenizer.from_str(rules)
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{folder / 'tokenizer.json'} is no tokenizer: {error}") from error
    return Bert(config, weights, tokenizer)


class _Token(NamedTuple):
    """A sub-word of a sentence."""

    number: int  # in the vocabulary
    word: int  # index of the word that it is a part of, or SPECIAL
    start: int  # in characters of the sentence
    end: int


class Bert(Backbone):
    """One vector ``[F]`` a word: the mean over its sub-words in the last layer.

    Words are split as BERT splits them, at white space and punctuation; what has neither letter
    nor digit is read, but is no word.
    """

    modality = Modality.TEXT

    def __init__(
        self, config: Mapping[str, Any], weights: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        super().__init__()
        self.feature_shape = (config["hidden_size"],)
        self.max_tokens: int = config["max_position_embeddings"]
        self.network = BertNetwork(config)
        self.network.load_published(weights)
        self.tokenizer = tokenizer
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.first, self.last = (tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))
        self.eval().requires_grad_(False)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return ``[L, 2]``: each token's number, and the index of its word or -1.

        A text of over 64 words is several pieces, end to end, each with its first and last token.

        Raises:
            MediaError: There is no word in the sentence.
        """
        if not isinstance(item, str):
            raise MediaError("media holds no sentence; send the text itself")
        rows = []
        for piece in self._pieces(item):
            tokens = [(token.number, token.word) for token in piece]
            rows += [(self.first, SPECIAL), *tokens, (self.last, SPECIAL)]
        if not rows:
            raise MediaError(f"no word in the sentence {item[:40]!r}; write at least one")
        return torch.tensor(rows)

    def words(self, sentence: str) -> list[str]:
        """Return the words that the steps stand for."""
        spans: dict[int, tuple[int, int]] = {}  # of the text, by word
        for token in chain.from_iterable(self._pieces(sentence)):
            start, _ = spans.get(token.word, (token.start, 0))
            spans[token.word] = (start, token.end)
        spans.pop(SPECIAL, None)
        return [sentence[start:end] for start, end in spans.values()]

    def _pieces(self, sentence: str) -> list[list["_Token"]]:
        """Return the tokens of each piece that has words, without the special ones around them."""
        encoding = self.tokenizer.encode(sentence, add_special_tokens=False)
        pieces: list[list[_Token]] = [[]]
        words: dict[int | None, int] = {}  # the tokenizer's words that count -> their index
        first = 0  # word of the piece
        for number, word, (start, end) in zip(
            encoding.ids, encoding.word_ids, encoding.offsets, strict=True
        ):
            is_full = len(pieces[-1]) == self.max_tokens - 2
            if word not in words and any(map(str.isalnum, sentence[start:end])):
                words[word] = len(words)
                if is_full or words[word] - first == MAX_WORDS:
                    pieces.append([])
                    first = words[word]
            elif is_full:  # of what is no word, or of a word that alone is longer
                continue
            pieces[-1].append(_Token(number, words.get(word, SPECIAL), start, end))
        return [piece for piece in pieces if any(token.word != SPECIAL for token in piece)]

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the transformer; looking tokens up stays where their table is."""
        network = self.network
        encoder = nn.Sequential(network.norm, network.layers)
        network.layers = Compiled(encoder, 1, "L", *self.feature_shape)
        network.norm = nn.Identity()

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[W, F]`` for the tokens ``[L, 2]`` of one sentence."""
        pieces = self._split(steps)
        return torch.cat([_by_word(self.network(own[None, :, 0])[0], own[:, 1]) for own in pieces])

    def _split(self, steps: Tensor) -> Sequence[Tensor]:
        """Return the pieces of a sentence, ``[L, 2]`` each."""
        starts = (steps == steps.new_tensor([self.first, SPECIAL])).all(1).nonzero().flatten()
        return torch.tensor_split(steps, starts[1:].cpu())

    @torch.inference_mode()
    def extract(self, items: Sequence[Tensor]) -> list[Tensor]:
        """Return ``[W, F]`` for the tokens ``[L, 2]`` of each sentence."""
        if all(item.device.type == "cpu" for item in items):
            return super().extract(items)
        split = [self._split(item) for item in items]
        pieces = [piece for item in split for piece in item]
        numbers = pad_sequence([piece[:, 0] for piece in pieces], batch_first=True)  # [B, L]
        lengths = torch.tensor([len(piece) for piece in pieces], device=numbers.device)
        mask = torch.arange(numbers.shape[1], device=numbers.device) < lengths[:, None]
        hidden = iter(self.network(numbers, mask))  # of [L, F]
        return [torch.cat([_by_word(next(hidden), own[:, 1]) for own in item]) for item in split]


def _by_word(hidden: Tensor, words: Tensor) -> Tensor:
    """Return ``[W, F]``, the means of ``hidden`` ``[L, F]`` over the tokens of each word."""
    first, last = int(words[words != SPECIAL].min()), int(words.max())
    parts = words == torch.arange(first, last + 1, device=words.device)[:, None]  # [W, L]
    share = parts / parts.sum(1, keepdim=True)
    return share @ hidden[: len(words)]


class BertNetwork(nn.Module):
    """The encoder without its pooler: token numbers in, the last layer's hidden states out."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        if config.get("model_type") != "bert" or config["hidden_act"] != "gelu":
            raise CheckpointError(
                f"a network of kind {config.get('model_type')!r} with {config.get('hidden_act')!r};"
                " name the folder of a BERT with gelu"
            )
        dim, eps = config["hidden_size"], config["layer_norm_eps"]
        self.num_layers: int = config["num_hidden_layers"]
        # Empty, since random numbers for them would take longer than everything else.
        self.tokens = nn.Embedding.from_pretrained(torch.empty(config["vocab_size"], dim))
        self.positions = nn.Embedding.from_pretrained(
            torch.empty(config["max_position_embeddings"], dim)
        )
        self.norm: nn.Module = nn.LayerNorm(dim, eps=eps)
        block = nn.TransformerEncoderLayer(
            dim,
            config["num_attention_heads"],
            config["intermediate_size"],
            activation="gelu",
            layer_norm_eps=eps,
            batch_first=True,
        )
        self.layers: nn.Module = nn.TransformerEncoder(
            block, self.num_layers, enable_nested_tensor=False
        )

    def forward(self, numbers: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return ``[B, L, F]`` for ``numbers`` ``[B, L]``, those with ``mask`` False ignored."""
        hidden = self.norm(self.tokens(numbers) + self.positions.weight[: numbers.shape[1]])
        padding = {} if mask is None else {"src_key_padding_mask": ~mask}
        encoded: Tensor = self.layers(hidden, **padding)
        return encoded

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights over from their published names.

        Raises:
            CheckpointError: One is missing or of another shape.
        """
        published = {_plain(name): tensor.float() for name, tensor in weights.items()}
        try:
            own = {
                "tokens.weight": published[TOKENS],
                # All tokens are of the first sentence: its vector is part of every position.
                "positions.weight": published["embeddings.position_embeddings.weight"]
                + published["embeddings.token_type_embeddings.weight"][0],
                "norm.weight": published["embeddings.LayerNorm.weight"],
                "norm.bias": published["embeddings.LayerNorm.bias"],
            }
            for index in range(self.num_layers):
                own |= _layer_weights(published, index)
            fault = misfit(self.state_dict(), own)
        except KeyError as error:
            fault = f"{error} is missing"
        except RuntimeError as error:  # parts of one tensor that do not go together
            fault = str(error)
        if fault:
            raise CheckpointError(
                f"the weights are not those of the BERT that config.json describes ({fault}); "
                "take both files from the same folder"
            )
        self.load_state_dict(own, assign=True)


def _plain(name: str) -> str:
    """Return a weight's name without the prefix and the old terms that some folders have."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def _layer_weights(published: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    own, theirs = f"layers.layers.{index}", f"encoder.layer.{index}"
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    weights = {}
    for kind in ("weight", "bias"):
        parts = [f"{theirs}.attention.self.{part}.{kind}" for part in ("query", "key", "value")]
        weights[f"{own}.self_attn.in_proj_{kind}"] = torch.cat([published[p] for p in parts])
        for name, other in names.items():
            weights[f"{own}.{name}.{kind}"] = published[f"{theirs}.{other}.{kind}"]
    return weights
