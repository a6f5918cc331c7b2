"""Reads a model's folder as it lies on the Hub. The only door to the transformers library.

No code of a model is ever run: neither that of a repository nor what a pickle holds.
"""

import hashlib
import json
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from model.config import TowerConfig
from model.errors import CheckpointError, ConfigError
from model.hub import weight_files

NAMED = 3  # tensors that an error names
TOKENIZER_FILES = (  # every file that a tokenizer may be made of
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("tokenizer.model", "sentence_bert_config.json"),
)
DAMAGED = (OSError, ValueError, RuntimeError, SafetensorError, EOFError, KeyError, TypeError)


def read_json(path: Path, kind: type[dict[str, Any] | list[Any]] = dict) -> Any:
    """Return the object, or the list, in a JSON file.

    Raises:
        ConfigError: It is missing, or holds something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} is missing or damaged ({error}): name the folder of a model as the Hugging "
            "Face Hub lays it out, or fetch it again"
        ) from error
    if not isinstance(found, kind):
        raise ConfigError(f"{path} holds no JSON {kind.__name__}: fetch the model again")
    return found


def read_numbers(folder: Path, part: str) -> dict[str, Any]:
    """Return the published numbers of preprocessing; empty where there are none.

    Args:
        folder: Of the model.
        part: image_processor, video_processor or feature_extractor.
    """
    if (folder / "processor_config.json").is_file():
        own = read_json(folder / "processor_config.json").get(part)
        if isinstance(own, dict):
            return own
    for name in ("video_preprocessor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file() and (part == "video_processor" or not name.startswith("v")):
            return read_json(folder / name)
    return {}


def read_config(folder: Path) -> PretrainedConfig:
    """Return ``config.json`` with the defaults of its family in it.

    Raises:
        ConfigError: It is not one that transformers knows.
    """
    read_json(folder / "config.json")  # its error is clearer
    try:
        return transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (*DAMAGED, ImportError) as error:
        raise ConfigError(f"{folder / 'config.json'} is not understood: {error}") from error


def load_model(
    kind: str | type[transformers.PreTrainedModel],
    folder: Path,
    tower: TowerConfig,
    *,
    unused: tuple[str, ...] = (),
) -> Any:
    """Return a network with the weights in ``folder``, frozen and in evaluation mode.

    Args:
        kind: A class of transformers, or its name.
        folder: Of the model.
        tower: What is loaded, and in which dtype.
        unused: Beginnings of names of tensors that the file need not hold.

    Raises:
        CheckpointError: The weights are missing, damaged, or those of another network.
    """
    network: Any = getattr(transformers, kind) if isinstance(kind, str) else kind
    is_safe = all(path.suffix == ".safetensors" for path in weight_files(folder))
    try:
        with _quietly():
            model, report = network.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=is_safe,
                weights_only=True,  # of a pickle only tensors are read
                dtype=getattr(torch, tower.dtype),
                attn_implementation=tower.attention,
                output_loading_info=True,
            )
    except ImportError as error:
        raise ConfigError(
            f"{tower} needs a package that is not installed: pip install 'srcid[hub]' ({error})"
        ) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{tower}: its weights are a pickle that holds more than tensors, and is not run; ask "
            f"its author for model.safetensors, or convert it where that is safe ({error})"
        ) from error
    except DAMAGED as error:
        raise CheckpointError(
            f"{tower}: the weights in {folder} are missing, damaged or those of another network: "
            f"fetch them again ({_first_line(error)})"
        ) from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(unused))
    if missing or report["mismatched_keys"]:
        names = missing or sorted(str(own[0]) for own in report["mismatched_keys"])
        raise CheckpointError(
            f"{tower}: the weights in {folder} lack {', '.join(names[:NAMED])}"
            f"{', ...' * (len(names) > NAMED)}, which would be random numbers: fetch them again, "
            "or name the model that they belong to"
        )
    return model.eval().requires_grad_(False)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer in ``folder``.

    Raises:
        ConfigError: There is none, or it needs a package that is not installed.
    """
    try:
        return transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except ImportError as error:
        raise ConfigError(
            f"the tokenizer in {folder} needs a package that is not installed: pip install "
            f"'srcid[hub]' ({_first_line(error)})"
        ) from error
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ConfigError(
            f"{folder} holds no tokenizer that is understood: fetch tokenizer.json and "
            f"tokenizer_config.json too ({_first_line(error)})"
        ) from error


def tokenizer_digest(folder: Path) -> str:
    """Return the SHA-256 of all files of a tokenizer: other files, other features."""
    digest = hashlib.sha256()
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            digest.update(f"{name}\n".encode())
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to errors: of a joint file transformers says which half is not read, and so on."""
    logging = transformers.logging
    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # Commands print JSON on stdout, where timm's wrapper says things.
        with redirect_stdout(sys.stderr), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
