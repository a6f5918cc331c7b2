"""BERT and its like, word by word; and what sentence-transformers made of them, by sentences.

Source: Devlin et al., NAACL 2019; Reimers and Gurevych, EMNLP 2019.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from model.backbones.pretrained.loading import read_config, read_json
from model.backbones.pretrained.texts import SentenceTower, WordTower
from model.errors import ConfigError

MODULES = "modules.json"  # of a folder of sentence-transformers
POOLINGS = {"mean": "mean", "cls": "first"}  # as that library names them -> output


class BertWords(WordTower):
    """A vector a word."""

    unused = ("pooler.",)

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder)
        return {
            "dim": config.hidden_size,
            "input": cls.read_input(folder, max_tokens=positions(config)),
        }


class PooledSentences(SentenceTower):
    """A vector a sentence, pooled as a folder of sentence-transformers says."""

    unused = ("pooler.",)

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim``, ``input`` and ``output``."""
        config = read_config(folder)
        own = cls.read_input(folder, max_tokens=min(positions(config), max_length(folder)))
        return {"dim": config.hidden_size, "input": own, "output": pooling(folder)}

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state  # [N, L, F]
        if self.config.output == "first":
            return hidden[:, 0]
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def positions(config: Any) -> int:
    """Return for how many tokens a network has positions."""
    count: int = config.max_position_embeddings
    # RoBERTa's count from behind the number of the padding.
    is_roberta = "roberta" in config.model_type or config.model_type == "mpnet"
    return count - config.pad_token_id - 1 if is_roberta else count


def max_length(folder: Path) -> int:
    """Return how many tokens of a sentence a folder of sentence-transformers looks at."""
    path = folder / "sentence_bert_config.json"
    found = read_json(path).get("max_seq_length") if path.is_file() else None
    return found or 2**16


def pooling(folder: Path) -> str:
    """Return which ``output`` a folder of sentence-transformers names.

    Raises:
        ConfigError: It does more than to pool and to normalise, or pools in another way.
    """
    modules = read_json(folder / MODULES, list)
    kinds = {str(own.get("type")).rpartition(".")[2]: own.get("path") for own in modules}
    own = read_json(folder / kinds["Pooling"] / "config.json") if "Pooling" in kinds else {}
    named = own.get("pooling_mode") or [
        key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
        for key, value in own.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    modes = [named] if isinstance(named, str) else named
    if (
        len(modes) != 1
        or modes[0] not in POOLINGS
        or kinds.keys() - {"Transformer", "Pooling", "Normalize"}
    ):
        raise ConfigError(
            f"{folder} pools sentences by {modes or 'nothing that is known'} with "
            f"{sorted(kinds)}; only the mean of the tokens or the first one, and "
            "normalising, are taken"
        )
    return POOLINGS[modes[0]]
