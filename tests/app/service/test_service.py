"""The service on a checkpoint that has less than others: one layer, no text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from app.errors import IndexMismatch, InvalidMedia, InvalidRequest, ItemExists, NotFound
from app.main import open_service
from app.service.service import RetrievalService
from app.settings import Settings
from model.config import SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID


@pytest.fixture(scope="module")
def small_checkpoint(tiny_config: SRCIDConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    seen = {m: own for m, own in tiny_config.modalities.items() if m is not Modality.TEXT}
    folder = tmp_path_factory.mktemp("small") / "checkpoint"
    config = tiny_config.model_copy(update={"modalities": seen, "num_layers": 1})
    SRCID(config).save_pretrained(folder)
    return folder


@pytest.fixture
def small_settings(settings: Settings, small_checkpoint: Path) -> Settings:
    return settings.model_copy(update={"checkpoint": str(small_checkpoint)})


@pytest.fixture
def service(small_settings: Settings) -> Iterator[RetrievalService]:
    with open_service(small_settings) as opened:
        yield opened


def test_both_layers_are_all_that_there_are(service: RetrievalService, clip: bytes) -> None:
    service.add("a", clip)
    both = service.search(clip, layers="both")
    assert both.hits[0].score == 1.0
    assert both == service.search(clip, layers="1")


def test_a_bad_id_is_refused_in_plain_words(service: RetrievalService, clip: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^id is '': String should have at least 1"):
        service.add("", clip)
    with pytest.raises(InvalidRequest, match=r"^id is 'a\\x00': an id must not"):
        service.add("a\0", clip)


def test_a_path_as_text_is_not_taken_for_a_sentence(
    service: RetrievalService, tmp_path: Path, clip: bytes
) -> None:
    (tmp_path / "a.mp4").write_bytes(clip)
    for call in (service.search, service.encode, lambda path: service.add("a", path)):
        with pytest.raises(TypeError, match="names a file"):
            call(str(tmp_path / "a.mp4"))
    assert list(service.items()) == []


def test_a_layer_that_the_checkpoint_does_not_have_is_refused(
    service: RetrievalService, clip: bytes
) -> None:
    with pytest.raises(InvalidRequest, match=r"layers is '2', but this checkpoint has \[1\]"):
        service.search(clip, layers="2")


def test_a_target_that_the_checkpoint_does_not_have_is_refused(
    service: RetrievalService, clip: bytes
) -> None:
    with pytest.raises(InvalidRequest, match="this checkpoint has audio, video"):
        service.search(clip, targets=[Modality.AUDIO, Modality.TEXT])


def test_a_sentence_is_refused_by_a_checkpoint_without_text(service: RetrievalService) -> None:
    with pytest.raises(InvalidMedia, match="this checkpoint takes audio, video"):
        service.encode("a dog barks")


def test_an_existing_id_is_refused_before_the_work_of_decoding(
    service: RetrievalService, clip: bytes
) -> None:
    service.add("a", clip)
    with pytest.raises(ItemExists):
        service.add("a", b"would not decode")


def test_a_failed_replacement_leaves_the_item_as_it_was(
    service: RetrievalService, clip: bytes
) -> None:
    before = service.add("a", clip, metadata={"n": 1})
    with pytest.raises(InvalidMedia):
        service.put("a", b"does not decode", metadata={"n": 2})
    assert service.get("a") == before


def test_what_is_not_there_is_named(service: RetrievalService) -> None:
    for call in (service.get, service.delete):
        with pytest.raises(NotFound, match="no item 'ghost'"):
            call("ghost")


def test_another_checkpoint_does_not_open_the_index(
    small_settings: Settings, settings: Settings, clip: bytes
) -> None:
    with open_service(small_settings) as opened:
        opened.add("a", clip)
    with pytest.raises(IndexMismatch, match="use the old checkpoint"):
        open_service(settings)
    with open_service(small_settings) as opened:
        assert [item.id for item in opened.items()] == ["a"]
