"""Decoding and encoding without a service: what the service is compared with."""

import time

import torch

from model.encoder import Encoder
from model.media import Clip, DecodeConfig, read_clip


class Bare:
    """The shipped checkpoint in this process, item by item, as the service does on a CPU.

    Args:
        source: The media file or sentence that is encoded again and again.
    """

    def __init__(self, source: bytes | str) -> None:
        torch.set_num_threads(1)
        self.encoder = Encoder.from_pretrained("default")
        self.config = DecodeConfig(max_steps=60)
        self.source = source

    def codes(self) -> dict[str, list[list[int]]]:
        """Encode once."""
        if isinstance(self.source, str):
            source: Clip | str = self.source
        else:
            source = read_clip(self.source, self.config)
        return {str(m): codes.tolist() for m, codes in self.encoder.encode(source).items()}

    def run(self, seconds: float) -> tuple[list[float], float]:
        """Encode for so long; return what each took, and a request's processor time."""
        self.codes()
        took = []
        processor, began = time.process_time(), time.perf_counter()
        while time.perf_counter() - began < seconds:
            started = time.perf_counter()
            self.codes()
            took.append(time.perf_counter() - started)
        return took, (time.process_time() - processor) / len(took)
