"""A process of ``benchmarks.encoding``: encodes what it is told, in one checkout.

Run by path with that checkout on PYTHONPATH, so it uses only what both checkouts have. Each line
that comes in is a sentence or the path of a clip as JSON, each line that goes out is the processor
seconds that encoding it took and its codes.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from model.encoder import Encoder
from model.media import DecodeConfig, read_clip


def main() -> None:
    """Encode line by line until the input ends."""
    torch.set_num_threads(1)
    with suppress(ImportError):  # checkouts from before ONNX Runtime, which gained by it
        from app.engine.allocator import keep_freed_memory

        keep_freed_memory()
    encoder = Encoder.from_pretrained(sys.argv[1])
    is_new = not hasattr(encoder, "encode_clip")  # which older checkouts have
    encode = encoder.encode if is_new else encoder.encode_clip
    config = DecodeConfig(max_steps=60)
    for line in sys.stdin:
        task = json.loads(line)
        began = time.process_time()
        if "text" in task:
            codes = encode(task["text"]) if is_new else {"text": encoder.encode_text(task["text"])}
        else:
            codes = encode(read_clip(Path(task["path"]), config))
        seconds = time.process_time() - began
        answer = {"seconds": seconds, "codes": {str(m): own.tolist() for m, own in codes.items()}}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
