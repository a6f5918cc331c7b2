"""The scan of a block on a GPU: one call of torch sums the look-ups, the rest is as in ``scan``.

Shape letters: R streams, C code rows, T steps, L codebook size, N queries, Q compared rows.
"""

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from app.store.index.blocks import CHUNK, Block, Chunk, Floats, Norms
from app.store.index.scan import Passing, SearchState, note_passing, scaled_luts


class TorchScan:
    """Notes the same streams as ``scan_means``: float32 sums are as exact on any device.

    The codes lie on the device unpacked, four bytes each. The first search after a chunk has
    grown copies it to the device. Any thread may call it.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._chunks: WeakKeyDictionary[Chunk, Tensor] = WeakKeyDictionary()  # [R, C * T] int32
        self._copying = threading.Lock()

    @torch.inference_mode()
    def __call__(self, state: SearchState, block: Block, skip: Sequence[int]) -> None:
        """Note the streams of a block by their means, after the first ``skip`` of each chunk."""
        luts, errors = scaled_luts(state, block)
        table = self._table(state, luts)

        def find(chunk: Chunk, tile: slice, norms: Norms, least: Floats) -> Passing:
            sums = embedding_bag(self._places(chunk)[tile], table, mode="sum")  # [R, N]
            pairs = self._passing(sums, norms, least, errors)  # [P, 2]
            rows, queries = pairs.cpu().numpy().T
            return rows, queries, sums[pairs[:, 0], pairs[:, 1]].cpu().numpy()

        note_passing(state, block, skip, CHUNK, errors, find)

    def _table(self, state: SearchState, luts: Floats) -> Tensor:
        """Return ``luts`` ``[Q + 1, L, N]`` for all rows, ``[C * L, N]``; 0: not compared."""
        comparison = state.comparison
        table = np.zeros((*comparison.tables.shape[:2], luts.shape[-1]), np.float32)
        table[comparison.rows] = luts[:-1]
        return torch.from_numpy(table.reshape(-1, luts.shape[-1])).to(self._device)

    def _places(self, chunk: Chunk) -> Tensor:
        """Return the place of each code of a chunk in the table, ``[R, C * T]``."""
        with self._copying:
            places = self._chunks.get(chunk)
            if places is None or len(places) < chunk.count:
                codes = chunk.codes(slice(chunk.count)).astype(np.int32)  # [R, C, T]
                codes += chunk.packing.codebook_size * np.arange(codes.shape[1])[:, None]
                places = torch.from_numpy(codes.reshape(len(codes), -1)).to(self._device)
                self._chunks[chunk] = places
            return places

    def _passing(self, sums: Tensor, norms: Norms, least: Floats, errors: Floats) -> Tensor:
        """Return the pairs of stream and query that may score ``least``, as ``kernels`` does."""
        norm = torch.from_numpy(norms.astype(np.float32)).to(self._device)[:, None]
        bound, slack = (torch.from_numpy(values).to(self._device) for values in (least, errors))
        smallest = torch.minimum(bound * norm, bound * (norm - 1)) - slack
        return ((sums >= smallest) & (norm > 0)).nonzero()
