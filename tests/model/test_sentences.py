"""Every sentence has codes with a meaning, and all of its words count."""

import numpy as np
import pytest
import torch

from model.encoder import Encoder, Quantized
from model.modality import Modality

TEXT = Modality.TEXT


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Its layer 1 has a code of zeros."""
    return Encoder.from_pretrained("aligned")


COMMON = ["man", "person", "red", "hello", "good morning", "12", "the", "thanks", "a man"]


@pytest.mark.parametrize("text", COMMON)
def test_common_words_do_not_become_nothing(encoder: Encoder, text: str) -> None:
    assert encoder.vocabulary.by_layer(quantized(encoder, text).codes)[0].any()


def test_the_code_of_a_common_word_is_the_most_similar_one(encoder: Encoder) -> None:
    """The nearest code of all is that of zeros."""
    own = quantized(encoder, "man")
    table, asked = encoder.vocabulary.tables[0], own.query[0]
    assert not table[np.linalg.norm(table - asked, axis=1).argmin()].any()
    cosines = table @ asked / np.maximum(np.linalg.norm(table, axis=1), 1e-12)
    assert own.codes[0, 0] == cosines.argmax()


def quantized(encoder: Encoder, text: str) -> Quantized:
    (features,) = encoder.features(list(encoder.prepare(text).items()))
    return encoder.quantize([(TEXT, features)])[0]


def test_a_long_text_is_its_pieces_one_after_the_other(encoder: Encoder) -> None:
    words = [f"word{number % 7}" for number in range(150)]
    bert = encoder.backbones[TEXT]
    pieces = [" ".join(words[start : start + 64]) for start in (0, 64, 128)]
    (whole,) = bert.extract([bert.preprocess(" ".join(words))])
    apart = torch.cat(bert.extract([bert.preprocess(piece) for piece in pieces]))
    assert whole.shape[0] == len(words)
    torch.testing.assert_close(whole, apart)
    assert encoder.words(" ".join(words)) == words


def test_a_word_of_more_tokens_than_fit_is_one_word(encoder: Encoder) -> None:
    text = "a " + "xq7" * 1000 + " dog"
    bert = encoder.backbones[TEXT]
    (features,) = bert.extract([bert.preprocess(text)])
    assert len(features) == len(encoder.words(text)) == 3
    assert encoder.words(text)[2] == "dog"
