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
from app.store.index.scan import SearchState, bounds, scaled_lut, tiles
from app.store.index.shortlist import Entries, Pending


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
        scaled = [scaled_lut(query.lut, state.comparison, block.packing) for query in state.queries]
        table = self._table(state, np.stack([lut for lut, _ in scaled], axis=-1))
        errors = np.array([error for _, error in scaled], np.float32)
        shortlists = [query.shortlist for query in state.queries]
        pending = Pending(shortlists)
        for number, tile, norms in tiles(block, state, CHUNK, skip):
            places = self._places(block.chunks[number])[tile]
            sums = embedding_bag(places, table, mode="sum")  # [R, N]
            least = np.array([shortlist.least for shortlist in shortlists], np.float32)
            good = self._passing(sums, norms, least, errors)  # [pairs, 2]
            totals = sums[good[:, 0], good[:, 1]].cpu().numpy()
            rows, queries = good.cpu().numpy().T
            lower, upper = bounds(totals, norms[rows], errors[queries])
            chunks = np.full(len(rows), len(state.chunks) + number)
            pending.append(queries, Entries(chunks, rows + tile.start, lower, upper))
        pending.flush()

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
