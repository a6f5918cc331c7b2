"""The order of clips that are all seen before one is seen again."""

import numpy as np


class Rounds:
    """``count`` clips, round after round: each once a round, in a new order each time.

    The order is the same for the same seed, whichever part of it is asked for first.
    """

    def __init__(self, count: int, *, seed: int) -> None:
        self._count, self._seed = count, seed
        self._latest = (-1, np.arange(0))  # the number of a round, and the clips in its order

    def __getitem__(self, position: int) -> int:
        """Return which clip is seen at that position, counted from the first round on."""
        number, place = divmod(position, self._count)
        if self._latest[0] != number:
            draw = np.random.default_rng((self._seed, number))
            self._latest = (number, draw.permutation(self._count))
        return int(self._latest[1][place])
