"""A text file with one sentence per line, and the cached features of its sentences."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from model.config import SRCIDConfig
from model.encoder import load_backbone
from model.errors import DataError
from model.files import atomic_path, sha256
from model.modality import Modality

TOGETHER = 256  # sentences of a batch on a GPU


def read_sentences(file: Path) -> list[str]:
    """Return the different lines of a text file in UTF-8 that have a letter or digit.

    Raises:
        DataError: It cannot be read, or has none.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is no text file in UTF-8 ({error}): name one") from error
    found = list(dict.fromkeys(line.strip() for line in lines if any(map(str.isalnum, line))))
    if not found:
        raise DataError(f"{file} has no sentences: write one per line")
    return found


def sentence_features(file: Path, config: SRCIDConfig, *, cache: Path, device: str) -> Tensor:
    """Return ``[N, F]``, a row a sentence of ``file``, from the cache where it can.

    Args:
        file: A sentence a line.
        config: Names the backbone of text.
        cache: Folder where features are kept from run to run.
        device: Where the backbone runs.

    Raises:
        ConfigError: The backbone is not there.
        DataError: The file has no sentences.
    """
    sentences = read_sentences(file)
    key = sha256(config.modalities[Modality.TEXT].model_dump_json() + sha256(file))
    path = cache / f"sentences-{key[:16]}.safetensors"
    if not path.is_file():
        backbone = load_backbone(config, Modality.TEXT, device)
        parts = [sentences[n : n + TOGETHER] for n in range(0, len(sentences), TOGETHER)]
        rows = []
        for part in tqdm(parts, "reading sentences", unit=f"x{TOGETHER}"):
            prepared = [backbone.preprocess(own).to(device) for own in part]
            rows += [own.float().cpu() for own in backbone.extract(prepared)]
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            save_file({"sentences": torch.cat(rows)}, temporary)
    return load_file(path)["sentences"]
