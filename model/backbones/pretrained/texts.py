"""Networks for text: a vector a sentence where they were trained to compare sentences, else a word.

Shape letters: N sentences of a batch, T sentences of one text, L tokens, W words, F features.
"""

import re
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from model.backbones.pretrained.loading import load_tokenizer, tokenizer_digest
from model.backbones.pretrained.tower import Tower
from model.config import TextInput, TowerConfig
from model.errors import CheckpointError, ConfigError, MediaError
from model.media import Clip
from model.modality import Modality

NO_TOKEN = -1
MAX_SENTENCES = 64  # of a text that count; the rest is cut off
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
WORD = re.compile(r"[^\W_]+")  # letters and digits


class TextTower(Tower):
    """A network whose input is the tokens of a text."""

    modality = Modality.TEXT
    max_rows = 256
    step: ClassVar[Literal["sentence", "word"]]

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.input = cast("TextInput", config.input)
        if tokenizer_digest(folder) != self.input.tokenizer:
            raise CheckpointError(
                f"{config}: the tokenizer in {folder} is not the one that the checkpoint was made "
                "with; fetch the model again"
            )
        self._tokenizer = load_tokenizer(folder)
        self._lock = Lock()  # a tokenizer keeps the options that it was called with last

    @classmethod
    def read_input(cls, folder: Path, *, max_tokens: int) -> TextInput:
        """Return what features depend on of a folder's tokenizer.

        Args:
            folder: Of the model.
            max_tokens: For which the network has positions.

        Raises:
            ConfigError: There is no tokenizer that is understood.
        """
        tokenizer = load_tokenizer(folder)
        if cls.step == "word" and not tokenizer.is_fast:
            raise ConfigError(
                f"the tokenizer in {folder} does not tell where in a text its tokens are: add its "
                "tokenizer.json"
            )
        limit = tokenizer.model_max_length  # 1e30 where nobody said one
        return TextInput(
            step=cls.step, max_tokens=min(limit, max_tokens), tokenizer=tokenizer_digest(folder)
        )

    def tokenized(self, text: str, **options: Any) -> Any:
        """Return the tokens of ``text``, cut to as many as the network has positions for."""
        with self._lock:
            return self._tokenizer(
                text, truncation=True, max_length=self.input.max_tokens, **options
            )


class SentenceTower(TextTower):
    """A vector of length 1 a sentence."""

    step = "sentence"

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the tokens ``[T, max_tokens]`` of each sentence, then ``NO_TOKEN``.

        Raises:
            MediaError: There is no word in the text.
        """
        if not isinstance(item, str):
            raise MediaError("media holds no sentence; send the text itself")
        sentences = self.words(item)
        if not sentences:
            raise MediaError(f"no word in the sentence {item[:40]!r}; write at least one")
        rows = torch.full((len(sentences), self.input.max_tokens), NO_TOKEN)
        for row, sentence in zip(rows, sentences, strict=True):
            tokens = self.tokens_of(sentence)
            row[: len(tokens)] = torch.tensor(tokens)
        return rows

    def words(self, sentence: str) -> list[str]:
        """Return the sentences that the steps stand for: those with a letter or a digit."""
        parts = SENTENCE_END.split(sentence.strip())
        return [part for part in parts if WORD.search(part)][:MAX_SENTENCES]

    def tokens_of(self, sentence: str) -> list[int]:
        """Return the numbers of a sentence's tokens."""
        return self.tokenized(sentence)["input_ids"]

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, F]`` for the tokens ``[N, max_tokens]``."""
        mask = batch != NO_TOKEN
        longest = int(mask.sum(1).max())
        tokens = batch.masked_fill(~mask, self._tokenizer.pad_token_id or 0)
        found = self.read(tokens[:, :longest], mask[:, :longest])
        return F.normalize(found.float(), dim=-1)

    @abstractmethod
    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors ``[N, F]`` of ``tokens`` ``[N, L]``; those with ``mask`` False pad."""


class Reading(NamedTuple):
    """A text as its tokens and its words."""

    tokens: list[int]
    words: list[str]
    # Of each token: its first word, and the one after its last.
    spans: list[tuple[int, int]]


class WordTower(TextTower):
    """A vector a word, in context: the mean over its tokens in the last layer.

    Words are runs of letters and digits, whatever the tokenizer makes of them. A token that is
    part of several counts for each.
    """

    step = "word"
    output = "last"

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return ``[L, 3]``: each token's number, its first word, and the one after its last.

        Raises:
            MediaError: There is no word in the text.
        """
        if not isinstance(item, str):
            raise MediaError("media holds no sentence; send the text itself")
        found = self._reading(item)
        if not found.words:
            raise MediaError(f"no word in the sentence {item[:40]!r}; write at least one")
        pairs = zip(found.tokens, found.spans, strict=True)
        return torch.tensor([(token, *span) for token, span in pairs])

    def words(self, sentence: str) -> list[str]:
        """Return the words that the steps stand for."""
        return self._reading(sentence).words

    def _reading(self, text: str) -> Reading:
        encoding = self.tokenized(text, return_offsets_mapping=True)
        offsets = encoding["offset_mapping"]
        parts = [own.span() for own in WORD.finditer(text)]
        # Some have no token: those that were cut off, or that the tokenizer leaves out.
        known = [
            (first, last)
            for first, last in parts
            if any(start < last and end > first for start, end in offsets)
        ]
        spans = []
        for start, end in offsets:
            own = [n for n, (first, last) in enumerate(known) if start < last and end > first]
            spans.append((own[0], own[-1] + 1) if own else (0, 0))
        return Reading(encoding["input_ids"], [text[a:b] for a, b in known], spans)

    def vectors(self, batch: Tensor) -> Tensor:
        """Return the last layer ``[N, L, F]`` for the tokens ``[N, L]``."""
        mask = batch != NO_TOKEN
        tokens = batch.masked_fill(~mask, self._tokenizer.pad_token_id or 0)
        return self.model(input_ids=tokens, attention_mask=mask).last_hidden_state

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[W, F]`` for the tokens ``[L, 3]`` of one text."""
        return self.extract([steps])[0]

    @torch.inference_mode()
    def extract(self, items: Sequence[Tensor]) -> list[Tensor]:
        """Return ``[W, F]`` for the tokens ``[L, 3]`` of each text."""
        if len(items) > 1 and items[0].device.type == "cpu":
            return [self.forward(item) for item in items]
        numbers = [item[:, 0] for item in items]
        rows = pad_sequence(numbers, batch_first=True, padding_value=NO_TOKEN)
        hidden = super().forward(rows)  # [N, L, F]
        return [_by_word(own, item[:, 1:]) for own, item in zip(hidden, items, strict=True)]


def _by_word(hidden: Tensor, spans: Tensor) -> Tensor:
    """Return ``[W, F]``, the means of ``hidden`` ``[L, F]`` over the tokens of each word."""
    words = torch.arange(int(spans.max()), device=spans.device)[:, None]
    parts = (spans[:, 0] <= words) & (words < spans[:, 1])  # [W, L]
    return (parts / parts.sum(1, keepdim=True)) @ hidden[: len(spans)]
