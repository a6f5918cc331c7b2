import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from model.backbones import build_backbone
from model.backbones.bert import MAX_WORDS, Bert, load_bert
from model.errors import CheckpointError, ConfigError, MediaError

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "dog", "bark", "##s", "a", ",", ".", "'"]
CONFIG = {
    "model_type": "bert",
    "vocab_size": len(VOCABULARY),
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "hidden_act": "gelu",
    "max_position_embeddings": 40,
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}


def random_weights() -> dict[str, torch.Tensor]:
    """Weights of that configuration, under their published names."""
    generator = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), 8),
        "embeddings.position_embeddings.weight": (40, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "embeddings.LayerNorm.weight": (8,),
        "embeddings.LayerNorm.bias": (8,),
        "pooler.dense.weight": (8, 8),
    }
    for index in range(2):
        layer = f"encoder.layer.{index}"
        for name, (outputs, inputs) in {
            "attention.self.query": (8, 8),
            "attention.self.key": (8, 8),
            "attention.self.value": (8, 8),
            "attention.output.dense": (8, 8),
            "intermediate.dense": (16, 8),
            "output.dense": (8, 16),
        }.items():
            shapes[f"{layer}.{name}.weight"] = (outputs, inputs)
            shapes[f"{layer}.{name}.bias"] = (outputs,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{layer}.{name}.weight"] = shapes[f"{layer}.{name}.bias"] = (8,)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BERT folder as Hugging Face lays it out, with random weights."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(random_weights(), tmp_path / "model.safetensors")
    numbers = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.enable_truncation(4)  # published tokenizers cut and pad by themselves
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.fixture
def bert(folder: Path) -> Bert:
    return load_bert(folder)


def by_hand(weights: dict[str, torch.Tensor], numbers: torch.Tensor) -> torch.Tensor:
    """BERT's last hidden states ``[L, 8]``, straight from its formulas."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True)).sqrt()
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][numbers]
    x = x + weights["embeddings.position_embeddings.weight"][: len(numbers)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for index in range(2):
        layer = f"encoder.layer.{index}"
        q, k, v = (
            linear(x, f"{layer}.attention.self.{part}").view(-1, 2, 4).transpose(0, 1)
            for part in ("query", "key", "value")
        )  # [heads, L, 4]
        attended = ((q @ k.mT / 4**0.5).softmax(-1) @ v).transpose(0, 1).flatten(1)
        attended = linear(attended, f"{layer}.attention.output.dense")
        x = norm(x + attended, f"{layer}.attention.output.LayerNorm")
        hidden = linear(x, f"{layer}.intermediate.dense")
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2  # gelu
        x = norm(x + linear(hidden, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


def test_features_are_those_of_the_formulas(bert: Bert) -> None:
    numbers = torch.tensor([2, 7, 4, 5, 6, 3])  # [CLS] a dog bark ##s [SEP]
    hidden = by_hand(random_weights(), numbers)
    (features,) = bert.extract([bert.preprocess("A dog barks")])
    expected = torch.stack([hidden[1], hidden[2], (hidden[3] + hidden[4]) / 2])
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_sub_words_share_a_word_and_special_tokens_have_none(bert: Bert) -> None:
    assert bert.preprocess("dog barks").tolist() == [[2, -1], [4, 0], [5, 1], [6, 1], [3, -1]]


def test_punctuation_is_read_but_is_no_word(bert: Bert) -> None:
    item = bert.preprocess("a dog, barks.")
    assert item[:, 1].tolist() == [-1, 0, 1, -1, 2, 2, -1, -1]
    with_comma, without = bert.extract([item, bert.preprocess("a dog barks")])
    assert with_comma.shape == without.shape
    assert not torch.allclose(with_comma, without)


def test_unknown_words_are_words(bert: Bert) -> None:
    assert bert.preprocess("zebra dog")[:, 1].tolist() == [-1, 0, 1, -1]


def test_a_sentence_without_words_is_refused(bert: Bert) -> None:
    for sentence in ("", " \n\t", "...", "?!"):
        with pytest.raises(MediaError, match="no word in the sentence"):
            bert.preprocess(sentence)


def test_a_long_sentence_is_read_in_pieces_of_what_the_network_reads(bert: Bert) -> None:
    """40 places, of which [CLS] and [SEP] take two."""
    item = bert.preprocess("dog " * 100)
    assert [len(piece) for piece in bert._split(item)] == [40, 40, 26]
    assert item[-1].tolist() == [3, -1]
    assert bert.extract([item])[0].shape == (100, 8)


def test_a_piece_has_no_more_than_the_most_words(bert: Bert) -> None:
    bert.max_tokens = 1000
    pieces = bert._split(bert.preprocess("barks " * 100))
    assert [int(piece[:, 1].max()) for piece in pieces] == [MAX_WORDS - 1, 99]
    assert len(pieces[0]) == 2 * MAX_WORDS + 2


def test_forward_takes_one_sentence(bert: Bert) -> None:
    item = bert.preprocess("a dog")
    assert torch.equal(bert(item), bert.extract([item])[0])


def test_old_names_of_weights_are_understood(folder: Path, bert: Bert) -> None:
    renamed = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in random_weights().items()
    }
    save_file(renamed, folder / "model.safetensors")
    item = bert.preprocess("a dog barks")
    assert torch.equal(load_bert(folder)(item), bert(item))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_with_a_file_missing_or_broken_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("{")
    with pytest.raises(CheckpointError, match=r"is not a BERT folder|is no tokenizer"):
        load_bert(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_bert(folder)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        load_bert(folder)


def test_weights_of_another_size_are_counted_and_the_first_few_are_named(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | {"intermediate_size": 32}))
    told = r"\(6 of another shape: layers\.layers\.0\.linear1\.bias, .*, \.\.\.\); take both"
    with pytest.raises(CheckpointError, match=told) as refused:
        load_bert(folder)
    assert str(refused.value).count("layers.layers.") == 3


def test_another_kind_of_network_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "gpt2"}))
    with pytest.raises(CheckpointError, match="gpt2"):
        load_bert(folder)


def test_features_are_those_of_transformers(paper_backbones: Path) -> None:
    """Its own class reads the folder that the environment names; sub-words are averaged here."""
    from transformers import BertModel

    reference = BertModel.from_pretrained(paper_backbones / "bert").eval()
    backbone = build_backbone("bert")
    assert isinstance(backbone, Bert)
    sentences = ["A dog barks", "it", "rain it dog a rain"]
    items = [backbone.preprocess(sentence) for sentence in sentences]
    for item, features in zip(items, backbone.extract(items), strict=True):
        with torch.inference_mode():
            hidden = reference(item[None, :, 0]).last_hidden_state[0]
        words = range(int(item[:, 1].max()) + 1)
        expected = torch.stack([hidden[item[:, 1] == word].mean(0) for word in words])
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_a_folder_that_is_not_named_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRCID_BERT", raising=False)
    with pytest.raises(ConfigError, match=r"SRCID_BERT to the path of a BERT folder"):
        build_backbone("bert")
