import pytest
import torch
import torch.nn.functional as F

from model.backbones.bert import Bert
from model.backbones.minilm import load_minilm


@pytest.fixture(scope="module")
def backbone() -> Bert:
    return load_minilm()


def sentence(backbone: Bert, text: str) -> torch.Tensor:
    """The unit vector that sentence-transformers gives: the mean over all tokens."""
    numbers = backbone.preprocess(text)[None, :, 0]
    hidden = backbone.network(numbers, torch.ones_like(numbers, dtype=torch.bool))
    return F.normalize(hidden[0].mean(0), dim=0)


@pytest.mark.parametrize(
    ("one", "other", "cosine"),
    [
        ("dog barking", "puppy woofs", 0.4182),
        ("dog barking", "rain on roof", 0.2649),
        ("puppy woofs", "rain on roof", 0.0487),
    ],
)
def test_sentences_are_as_alike_as_the_published_model_finds_them(
    backbone: Bert, one: str, other: str, cosine: float
) -> None:
    """The cosines are those of sentence-transformers 5 on the same weights."""
    found = sentence(backbone, one) @ sentence(backbone, other)
    assert found.item() == pytest.approx(cosine, abs=5e-4)


def test_a_word_is_a_step(backbone: Bert) -> None:
    (features,) = backbone.extract([backbone.preprocess("A dog barks, unbelievably loudly!")])
    assert features.shape == (5, 384)


def test_words_are_read_in_context(backbone: Bert) -> None:
    river, money = (
        backbone.extract([backbone.preprocess(text)])[0][-1]
        for text in ("the water of the river bank", "the money in the bank")
    )
    assert torch.cosine_similarity(river, money, dim=0) < 0.9


def test_sentences_of_any_length_and_script_are_taken(backbone: Bert) -> None:
    for text in ("x", "word " * 5000, "é" * 100_000, "狗在叫", "собака лает", "🐶 dog"):
        (features,) = backbone.extract([backbone.preprocess(text)])
        assert 1 <= len(features) == len(backbone.words(text))
        assert features.isfinite().all()


def test_each_step_has_its_word(backbone: Bert) -> None:
    for sentence in ("A dog, barking: unbelievably loud!", "x" * 9000 + " y", "word " * 99, "é à"):
        words = backbone.words(sentence)
        assert len(words) == len(backbone.extract([backbone.preprocess(sentence)])[0])
        assert " ".join(words) in " ".join(sentence.replace(",", "").replace(":", "").split())
    assert backbone.words("A dog, barking: unbelievably loud!") == [
        "A",
        "dog",
        "barking",
        "unbelievably",
        "loud",
    ]
