import pytest
import torch

from model.backbones import build_backbone
from model.modality import Modality
from training.data.sentences import TextVectors, mentions, sentences_about


def test_a_class_gets_its_article() -> None:
    assert "a photo of a dog" in sentences_about("Dog", Modality.VIDEO)
    assert "the sound of an oboe" in sentences_about("oboe", Modality.AUDIO)


@pytest.mark.parametrize(
    ("sentence", "is_said"),
    [
        ("a dog barks", True),
        ("Dog", True),
        ("a hot dog", True),
        ("a dogfish swims", False),
        ("sea shore", False),
        ("the sea horse here", True),
    ],
)
def test_whole_words_are_mentioned(sentence: str, is_said: bool) -> None:
    assert mentions(sentence, ["dog", "sea horse"]) is is_said


def test_a_meaning_is_the_mean_of_unit_vectors() -> None:
    text = TextVectors(build_backbone("tiny-text"))
    one, two = (text.words(s).mean(0) for s in ("a dog", "rain falls"))
    expected = one / one.norm() + two / two.norm()
    torch.testing.assert_close(text.meaning(["a dog", "rain falls"]), expected / expected.norm())
