"""Encode a video, sound or picture: a pair of codes for each second of what is seen and heard.

python examples/encode_a_clip.py clip.mp4 [checkpoint]
"""

import sys
from pathlib import Path

import numpy as np

from model.encoder import Encoder
from model.media import read_clip


def main(path: str, checkpoint: str = "default") -> None:
    encoder = Encoder.from_pretrained(checkpoint)
    clip = read_clip(Path(path))  # decoded, with limits on its length and size
    streams = encoder.encode_clip(clip)
    for modality, codes in streams.items():  # [C, T]: a row a layer, a column a second
        for layer, row in zip(encoder.vocabulary.layers, codes, strict=True):
            print(f"{modality:5} layer {layer}:", *row)

    # A code stands for a vector that all modalities share, so streams can be compared.
    pooled = [encoder.vocabulary.pooled(codes, [1, 2]) for codes in streams.values()]
    if len(pooled) == 2:
        x, y = (vector / np.linalg.norm(vector) for vector in pooled)
        print(f"picture and sound: cosine {x @ y:+.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
