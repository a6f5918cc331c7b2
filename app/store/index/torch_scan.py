"""The scan of a block on a GPU: sums of look-ups by one call of torch, all else as in ``scan``.

Shape letters: R streams, C code rows, T steps, L codebook size, N queries, Q rows that are
compared.
"""

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from app.store.index.blocks import CHUNK, Block, Chunk, Norms
from app.store.index.lookups import Floats
from app.store.index.scan import Search, bounds, scaled_lut, tiles
from app.store.index.shortlist import Entries, Pending


class TorchScan:
    """Notes what ``scan_means`` would: float32 sums on any device are off by as little.

    The codes lie on the device unpacked, four bytes each. A chunk is brought there by the first
    search, and anew by the first one after streams were added to it. Any thread may call it.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._chunks: WeakKeyDictionary[Chunk, Tensor] = WeakKeyDictionary()  # [R, C * T] int32
        self._bringing = threading.Lock()

    @torch.inference_mode()
    def __call__(self, search: Search, block: Block, known: Sequence[int]) -> None:
        """Note the streams of a block by their means, but for the first ``known`` of each chunk."""
        scaled = [scaled_lut(own.lut, search.comparison, block.packing) for own in search.queries]
        table = self._table(search, np.stack([lut for lut, _ in scaled], axis=-1))
        errors = np.array([error for _, error in scaled], np.float32)
        shortlists = [query.shortlist for query in search.queries]
        pending = Pending(shortlists)
        for number, tile, norms in tiles(block, search, CHUNK, known):
            places = self._places(block.chunks[number])[tile]
            sums = embedding_bag(places, table, mode="sum")  # [R, N]
            least = np.array([own.least for own in shortlists], np.float32)
            good = self._passing(sums, norms, least, errors)  # [found, 2]
            found = sums[good[:, 0], good[:, 1]].cpu().numpy()
            rows, own = good.cpu().numpy().T
            lower, upper = bounds(found, norms[rows], errors[own])
            where = np.full(len(rows), len(search.chunks) + number)
            pending.append(own, Entries(where, rows + tile.start, lower, upper))
        pending.flush()

    def _table(self, search: Search, luts: Floats) -> Tensor:
        """Return ``luts`` ``[Q + 1, L, N]`` for all rows, ``[C * L, N]``; 0: not compared."""
        comparison = search.comparison
        table = np.zeros((*comparison.tables.shape[:2], luts.shape[-1]), np.float32)
        table[comparison.rows] = luts[:-1]
        return torch.from_numpy(table.reshape(-1, luts.shape[-1])).to(self._device)

    def _places(self, chunk: Chunk) -> Tensor:
        """Return where in the table each code of a chunk is looked up, ``[R, C * T]``."""
        with self._bringing:
            places = self._chunks.get(chunk)
            if places is None or len(places) < chunk.count:
                codes = chunk.codes(slice(chunk.count)).astype(np.int32)  # [R, C, T]
                codes += chunk.packing.codebook_size * np.arange(codes.shape[1])[:, None]
                places = torch.from_numpy(codes.reshape(len(codes), -1)).to(self._device)
                self._chunks[chunk] = places
            return places

    def _passing(self, sums: Tensor, norms: Norms, least: Floats, errors: Floats) -> Tensor:
        """Return which streams may score ``least`` ``[N]`` with which query, as ``loops`` does."""
        norm = torch.from_numpy(norms.astype(np.float32)).to(self._device)[:, None]
        bound, slack = (torch.from_numpy(own).to(self._device) for own in (least, errors))
        smallest = torch.minimum(bound * norm, bound * (norm - 1)) - slack
        return ((sums >= smallest) & (norm > 0)).nonzero()
