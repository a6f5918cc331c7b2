"""The whole inference path: raw media -> backbone features -> codes -> retrieval vector.

Feature extraction, the commands and the server all come through here.
Shape letters: B batch, C code rows, T steps, L codebook size, K layers, D hidden dim.
"""

import reprlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from model.backbones import build_backbone
from model.backbones.base import Backbone, decode_config
from model.checkpoint import fetch_backbones, fingerprint, locate
from model.coder import Coded, coders
from model.config import SRCIDConfig
from model.device import usable_device
from model.errors import ConfigError, MediaError
from model.media import Clip, DecodeConfig
from model.modality import Modality
from model.source import MAX_SECONDS, Source, opened
from model.srcid import SRCID

Codes = NDArray[np.int16]  # [C, T]
Streams = dict[str, Codes]  # by modality: the codes of each stream of an item
Comparable = Source | Streams
Pooled = NDArray[np.float32]  # [K, D] the mean over steps of each layer's vectors


def side_by_side(vectors: Pooled, layers: Sequence[int]) -> NDArray[np.float32]:
    """Return ``[len(layers) * D]``: the vectors of some layers, as ``Vocabulary.pooled`` does."""
    return vectors[[layer - 1 for layer in layers]].ravel()


class Vocabulary(NamedTuple):
    """What each code stands for, as numbers: all that a search over codes needs."""

    tables: NDArray[np.float32]  # [C, L, D] row c of a code sequence indexes tables[c]
    layers: NDArray[np.int64]  # [C] the layer (1, 2, ...) that each code row belongs to

    def steps(self, codes: Codes, layers: Sequence[int]) -> NDArray[np.float32]:
        """Return one vector a step, ``[T, len(layers) * D]``: layers side by side.

        Rows of one layer are summed: that is what residual quantization means by them.
        """
        rows = np.stack([table[row] for table, row in zip(self.tables, codes, strict=True)])
        parts = [rows[self.layers == layer].sum(0) for layer in layers]
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def pooled(self, codes: Codes, layers: Sequence[int]) -> NDArray[np.float32]:
        """Return ``[len(layers) * D]``, the mean over steps; retrieval compares by cosine."""
        return self.steps(codes, layers).mean(0, dtype=np.float32)

    def by_layer(self, codes: Codes) -> Pooled:
        """Return ``pooled`` of each layer: what is left of an item that is kept as codes."""
        layers = sorted(set(self.layers.tolist()))
        return self.pooled(codes, layers).reshape(len(layers), -1)


class Quantized(NamedTuple):
    """An item as codes, and how well they say what it was."""

    codes: Codes  # [C, T]
    # What it is compared by when it is asked for its like (SRCIDConfig.queries). Items are kept
    # as codes, since they have to be small; a query is not kept.
    query: Pooled
    # Mean over steps of the distance from layer 1's general vector to its code's. What is unlike
    # all that the checkpoint was trained on lies far from every code.
    error: float


class Encoder:
    """A checkpoint with its backbones: media and sentences in, codes out."""

    def __init__(
        self, model: SRCID, backbones: Mapping[Modality, Backbone], *, fingerprint: str
    ) -> None:
        self.model = model.eval()
        self.backbones = dict(backbones)
        self.fingerprint = fingerprint
        self.device = next(model.parameters()).device
        self.vocabulary = vocabulary_of(model)
        self._coders = coders(model) if self.device.type == "cpu" else {}

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, *, device: str = "cpu", download: bool = True
    ) -> Self:
        """Load a checkpoint and its backbones.

        Args:
            checkpoint: A folder, the name of a shipped checkpoint, or ``OWNER/NAME`` of the Hub.
            device: Where its networks run.
            download: Fetch from the Hub what is not cached: the checkpoint, its backbones.

        Raises:
            CheckpointError: It is missing, damaged, or does not fit its configuration.
            ConfigError: A backbone that it needs gives features of another shape.
        """
        folder = locate(checkpoint, download=download)
        model = SRCID.from_pretrained(folder).to(device)
        if download:
            fetch_backbones(model.config)
        backbones = load_backbones(model.config, device)
        return cls(model, backbones, fingerprint=fingerprint(folder))

    def to(self, device: str) -> Self:
        """Move network and backbones to a device ("cpu", "cuda", "cuda:1"); return the encoder.

        Raises:
            ConfigError: There is no such device.
        """
        self.device = torch.device(usable_device(device))
        self.model.to(self.device)
        self.backbones = {m: load_backbone(self.config, m, device) for m in self.backbones}
        self._coders = coders(self.model) if self.device.type == "cpu" else {}
        return self

    @overload
    def encode(
        self, source: list[Source], *, batch_size: int = ..., progress: bool = ...
    ) -> list[Streams]: ...

    @overload
    def encode(self, source: Source, *, batch_size: int = ..., progress: bool = ...) -> Streams: ...

    def encode(
        self, source: Source | list[Source], *, batch_size: int = 16, progress: bool = False
    ) -> Streams | list[Streams]:
        """Return the codes ``[C, T]`` of each stream of a source; of a list, a list of these.

        ``encode("a dog barks")["text"]`` has a column a word, ``encode(Path("clip.mp4"))["video"]``
        a column a second. A file is encoded whole, up to an hour.

        Args:
            source: A sentence (str), media (``Path`` or bytes), a PIL image, a sound as
                ``(waveform [S], samples a second)``, a decoded ``Clip``, or a list of any of these.
            batch_size: Items of a list that are decoded, and encoded together.
            progress: Whether to show a progress bar for a list.

        Raises:
            TypeError: It is none of these, or a path given as a str.
            MediaError: It does not decode, or has no stream that this checkpoint encodes.
        """
        if not isinstance(source, list):
            return self._encode_batch([source])[0]
        encoded: list[Streams] = []
        with tqdm(total=len(source), unit="item", disable=not progress) as bar:
            for first in range(0, len(source), batch_size):
                batch = source[first : first + batch_size]
                encoded += self._encode_batch(batch)
                bar.update(len(batch))
        return encoded

    @overload
    def similarity(self, a: Comparable, b: Comparable) -> float: ...

    @overload
    def similarity(
        self, a: list[Comparable], b: Comparable | list[Comparable]
    ) -> NDArray[np.float32]: ...

    @overload
    def similarity(self, a: Comparable, b: list[Comparable]) -> NDArray[np.float32]: ...

    def similarity(self, a: Any, b: Any) -> float | NDArray[np.float32]:
        """Return the cosine of what the codes of two sources stand for, in [-1, 1].

        A list of N in place of ``a``, or of M in place of ``b``, gives an array ``[N]``, ``[M]`` or
        ``[N, M]``. Of several streams, the two most similar ones count. Pass what ``encode``
        returned in place of a source to encode it only once.
        """
        lists = [own if isinstance(own, list) else [own] for own in (a, b)]
        left, right = ([self._unit(own) for own in self._encoded(each)] for each in lists)
        cosines = np.array([[(x @ y.T).max() for y in right] for x in left], np.float32)
        if isinstance(a, list):
            return cosines if isinstance(b, list) else cosines[:, 0]
        return cosines[0] if isinstance(b, list) else float(cosines[0, 0])

    @property
    def config(self) -> SRCIDConfig:
        """The architecture."""
        return self.model.config

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that this checkpoint encodes."""
        return self.model.modalities

    def decode_config(self, **limits: int) -> DecodeConfig:
        """Return how media is decoded for the backbones, within ``limits``, other fields of it."""
        return decode_config(self.backbones, **limits)

    def prepare(self, item: Clip | str) -> dict[Modality, Tensor]:
        """Do one item's CPU work: a tensor for each modality that the item has.

        Raises:
            MediaError: It has none that this checkpoint knows.
        """
        prepared = {
            m: backbone.preprocess(item) for m, backbone in self.backbones.items() if _has(item, m)
        }
        if not prepared:
            raise MediaError(
                f"nothing to encode: this checkpoint takes {', '.join(self.modalities)}"
            )
        return prepared

    def features(self, prepared: Sequence[tuple[Modality, Tensor]]) -> list[Tensor]:
        """Return the backbone features ``[T, *feature_shape]`` of each prepared item."""
        groups: dict[Modality, list[int]] = defaultdict(list)
        for index, (m, _) in enumerate(prepared):
            groups[m].append(index)
        found: dict[int, Tensor] = {}
        for m, members in groups.items():
            # From pinned memory a copy to a GPU goes on beside what it computes.
            items = [prepared[index][1].to(self.device, non_blocking=True) for index in members]
            found.update(zip(members, self.backbones[m].extract(items), strict=True))
        return [found[index] for index in range(len(prepared))]

    def held(self, modality: Modality, features: Tensor) -> Tensor:
        """Return the features that what has no duration is encoded by.

        A picture ``[1, *feature_shape]`` is held for ``picture_steps``; a sentence stays as it is.
        """
        is_picture = modality is Modality.VIDEO
        return features.repeat_interleave(self.config.picture_steps, 0) if is_picture else features

    @torch.inference_mode()
    def quantize(self, items: Sequence[tuple[Modality, Tensor]]) -> list[Quantized]:
        """Return backbone features ``[T, *feature_shape]`` as codes, and how well these fit.

        Sound and video longer than the clips of training are cut into pieces of that length,
        so that a second's codes do not depend on what lies minutes away.
        """
        quantized: dict[int, Quantized] = {}
        for m in self.modalities:
            members = [index for index, (own, _) in enumerate(items) if own == m]
            features = [items[index][1] for index in members]
            of_items = self._coded(m, features) if m in self._coders else self._torch(m, features)
            if m is Modality.TEXT:
                of_items = map(self._with_meaning, of_items)
            quantized.update(zip(members, map(self._quantized, of_items), strict=True))
        return [quantized[index] for index in range(len(items))]

    def words(self, text: str) -> list[str]:
        """Return the word that each step of a sentence's codes stands for."""
        return self.backbones[Modality.TEXT].words(text)

    def _encode_batch(self, sources: Sequence[Source]) -> list[Streams]:
        config = self.decode_config(max_steps=MAX_SECONDS)
        items = [_opened(source, config) for source in sources]
        prepared = [(n, *own) for n, item in enumerate(items) for own in self.prepare(item).items()]
        features = self.features([(m, tensor) for _, m, tensor in prepared])
        for position, (n, m, _) in enumerate(prepared):
            item = items[n]
            if isinstance(item, Clip) and item.duration_seconds is None:
                features[position] = self.held(m, features[position])
        modalities = [m for _, m, _ in prepared]
        encoded: list[Streams] = [{} for _ in sources]
        quantized = self.quantize(list(zip(modalities, features, strict=True)))
        for (n, m, _), own in zip(prepared, quantized, strict=True):
            encoded[n][m] = own.codes
        return encoded

    def _encoded(self, sources: Sequence[Comparable]) -> list[Streams]:
        """Return the codes of sources, some of which may be codes already."""
        new = iter(self.encode([own for own in sources if not isinstance(own, dict)]))
        return [own if isinstance(own, dict) else next(new) for own in sources]

    def _unit(self, streams: Streams) -> NDArray[np.float32]:
        """Return ``[number of streams, K * D]``: the pooled vector of each, of length 1."""
        pooled = np.stack([self.vocabulary.by_layer(own).ravel() for own in streams.values()])
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def _coded(self, modality: Modality, items: Sequence[Tensor]) -> Iterator[Coded]:
        """Yield what each item is on a CPU, piece by piece."""
        for item in items:
            found = [self._coders[modality](own.numpy()) for own in self._pieces(modality, item)]
            codes, general, errors = zip(*found, strict=True)
            yield Coded(np.concatenate(codes, 1), np.concatenate(general), np.concatenate(errors))

    def _torch(self, modality: Modality, items: Sequence[Tensor]) -> Iterator[Coded]:
        """Yield what each item is, all pieces of all items in one batch."""
        pieces = [self._pieces(modality, item.to(self.device)) for item in items]
        rows = [piece for item in pieces for piece in item]
        if not rows:
            return
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        batch = pad_sequence(rows, batch_first=True)
        mask = torch.arange(batch.shape[1], device=self.device) < lengths[:, None]
        layers = self.model.quantize({modality: batch}, {modality: mask})
        # The steps of all items, end to end: N of them.
        codes = torch.cat([out.codes[modality] for out in layers], 1).transpose(1, 2)[
            mask
        ]  # [N, C]
        compared = [layers[depth].general[modality] for depth in self.config.compared]
        general = torch.stack(compared, 2)[mask]  # [N, K, D]
        first = layers[0]
        errors = (first.general[modality] - first.quantized[modality]).norm(dim=-1)[mask]  # [N]
        steps = [len(item) for item in items]
        for own in zip(*(own.cpu().split(steps) for own in (codes, general, errors)), strict=True):
            codes_of_item, general_of_item, errors_of_item = (part.numpy() for part in own)
            yield Coded(codes_of_item.T, general_of_item, errors_of_item)

    def _with_meaning(self, coded: Coded) -> Coded:
        """Give a sentence the most similar codes with a meaning where layer 1's have none.

        A checkpoint may have a code of zeros, the best one for what is unlike all that it knows,
        such as "man" or "hello". A sentence of that code only would be like nothing, not even
        like itself.
        """
        if self.vocabulary.steps(coded.codes.astype(np.int16), [1]).any():
            return coded
        table = self.vocabulary.tables[0]  # [L, D]
        norms = np.linalg.norm(table, axis=1)
        likeness = coded.general[:, 0] @ (table / np.maximum(norms, 1e-12)[:, None]).T  # [T, L]
        likeness[:, norms == 0] = -np.inf
        codes = coded.codes.copy()
        codes[0] = likeness.argmax(1)
        return coded._replace(codes=codes)

    def _quantized(self, coded: Coded) -> Quantized:
        rows = np.ascontiguousarray(coded.codes, np.int16)
        is_by_codes = self.config.queries == "codes"
        query = self.vocabulary.by_layer(rows) if is_by_codes else coded.general.mean(0, np.float32)
        return Quantized(rows, query, float(coded.errors.mean()))

    def _pieces(self, modality: Modality, features: Tensor) -> tuple[Tensor, ...]:
        whole = modality is Modality.TEXT
        return (features,) if whole else features.split(self.config.max_steps)


def _opened(source: Source, config: DecodeConfig) -> Clip | str:
    try:
        return opened(source, config)
    except (MediaError, TypeError) as error:
        error.add_note(f"the source: {reprlib.repr(source)}")
        raise


def load_backbones(config: SRCIDConfig, device: str) -> dict[Modality, Backbone]:
    """Return the backbone of each modality of ``config``, on ``device``.

    Raises:
        ConfigError: One is not there, or gives features of another shape.
        CheckpointError: The file that the user named for one holds other weights.
    """
    return {m: load_backbone(config, m, device) for m in Modality if m in config.modalities}


def load_backbone(config: SRCIDConfig, modality: Modality, device: str = "cpu") -> Backbone:
    """Return the backbone of one modality of ``config``, on ``device``.

    Raises:
        ConfigError: It is not there, or gives features of another shape.
        CheckpointError: The file that the user named for it holds other weights.
    """
    own = config.modalities[modality]
    backbone = build_backbone(own.backbone, device)
    if backbone.feature_shape != own.feature_shape:
        raise ConfigError(
            f"{modality}: backbone {str(own.backbone)!r} gives {backbone.feature_shape}, but the "
            f"network takes {own.feature_shape}; name the backbone, or the weights, that it was "
            "made for"
        )
    return backbone


def _has(item: Clip | str, modality: Modality) -> bool:
    if isinstance(item, str):
        return modality is Modality.TEXT
    return {
        Modality.AUDIO: item.waveform is not None,
        Modality.VIDEO: item.frames is not None,
        Modality.TEXT: False,
    }[modality]


def vocabulary_of(model: SRCID) -> Vocabulary:
    """Return what the codes of ``model`` stand for."""
    tables = [layer.quantizer.tables().detach() for layer in model.stages]
    layers = [depth for depth, own in enumerate(tables, start=1) for _ in own]
    return Vocabulary(torch.cat(tables).float().cpu().numpy(), np.array(layers))
