"""Encode a video, sound or picture: a pair of codes for each second of what is seen and heard.

python examples/encode_a_clip.py clip.mp4 [checkpoint]
"""

import sys
from pathlib import Path

from srcid import Encoder


def main(path: str, checkpoint: str = "default") -> None:
    encoder = Encoder.from_pretrained(checkpoint)
    streams = encoder.encode(Path(path))
    for modality, codes in streams.items():  # [C, T]: a row a layer, a column a second
        for layer, row in zip(encoder.vocabulary.layers, codes, strict=True):
            print(f"{modality:5} layer {layer}:", *row)

    # A code stands for a vector that all modalities share, so streams can be compared.
    if len(streams) == 2:
        picture, sound = ({modality: codes} for modality, codes in streams.items())
        print(f"picture and sound: cosine {encoder.similarity(picture, sound):+.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
