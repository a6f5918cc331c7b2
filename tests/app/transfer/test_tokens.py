import numpy as np
import pytest
from hypothesis import given
from tokenizers import Tokenizer, models

from app.errors import InvalidRequest
from app.store.base import Item
from app.transfer.tokens import all_tokens, sequence, streams_of
from model.modality import Modality
from tests.app.transfer.cases import ANY_ITEM, make_item

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT


def test_a_second_is_a_token_a_row_and_a_stream_stands_between_marks() -> None:
    streams = {VIDEO: np.array([[37, 5], [112, 0]]), AUDIO: np.array([[399], [1024]])}
    assert sequence(streams) == (
        "<audio><a1_399><a2_1024></audio><video><v1_037><v2_112><v1_005><v2_000></video>"
    )


@given(ANY_ITEM)
def test_tokens_say_the_codes(item: Item) -> None:
    streams = {m: own.codes for m, own in item.streams.items()}
    found = streams_of(sequence(streams))
    assert found.keys() == streams.keys()
    for modality, codes in streams.items():
        np.testing.assert_array_equal(found[modality], codes)


def test_a_tokenizer_with_all_tokens_splits_a_sequence_into_its_codes() -> None:
    tokens = all_tokens(rows=2, codebook_size=1500)
    assert len(set(tokens)) == len(tokens) == 3 * (2 + 2 * 1500)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.add_tokens(tokens)
    item = make_item("one", AUDIO, VIDEO, TEXT, steps=4)
    streams = {m: own.codes for m, own in item.streams.items()}
    encoded = tokenizer.encode(sequence(streams))
    assert len(encoded.ids) == 3 * (2 + 2 * 4)
    assert "".join(tokenizer.id_to_token(number) for number in encoded.ids) == sequence(streams)


@pytest.mark.parametrize(
    "tokens",
    [
        "",
        "<audio></audio>",
        "<audio><a1_001></audio>rest",
        "<audio><a1_1></audio>",
        "<audio><v1_001></audio>",
        "<audio><a2_001><a1_001></audio>",
        "<audio><a1_001><a2_001><a1_001></audio>",
        "<audio><a1_001></video>",
        "<video><v1_001></video><audio><a1_001></audio>",
        "<audio><a1_001></audio><audio><a1_001></audio>",
        "<audio><a1_65541></audio>",
        "<audio><a0_001></audio>",
        "<audio><a1_٣٣٣></audio>",
    ],
)
def test_what_export_does_not_write_is_refused(tokens: str) -> None:
    with pytest.raises(InvalidRequest):
        streams_of(tokens)
