"""Search an index by a sentence.

    python examples/search_by_text.py "a dog barks" my-index

`srcid search` is the same as a command.
"""

import sys

from app.main import open_service
from app.settings import load_settings
from model.modality import Modality


def main(sentence: str, data_dir: str) -> None:
    # Only reads: a server may have the same folder open.
    with open_service(load_settings(data_dir=data_dir), read_only=True) as service:
        response = service.search(
            sentence, targets=[Modality.VIDEO, Modality.AUDIO], k=5, curves=True
        )
        for hit in response.hits:
            print(f"{hit.score:+.3f}  {hit.modality:5}  {hit.id}  second {hit.best_second}")
            bars = "".join("▁▂▃▄▅▆▇█"[round(7 * max(0.0, value))] for value in hit.curve or [])
            print(f"        per second: {bars}")
        if response.nothing_matches:
            print("No confident match; showing the closest results.")


if __name__ == "__main__":
    main(*sys.argv[1:])
