"""Use a running server from Python: add, search, compare, follow the pages of all items.

    srcid serve &
    python examples/use_the_client.py clip.mp4 http://127.0.0.1:8000

Needs httpx2 and pydantic only. SRCID_API_KEY is the key, where the server wants one.
"""

import os
import sys
from pathlib import Path

from app.errors import ItemExists
from srcid import Client, ItemReference


def main(path: str, url: str = "http://127.0.0.1:8000") -> None:
    clip = Path(path)
    with Client(url, key=os.environ.get("SRCID_API_KEY")) as client:
        print("checkpoint", client.model().fingerprint)
        try:
            client.add(clip.stem, clip, metadata={"name": clip.name})  # streamed from disk
        except ItemExists as error:
            print(error)

        for hit in client.search("a dog barks", k=3, where={"name": clip.name}).hits:
            print(f"{hit.score:+.3f}  {hit.modality}  {hit.id}  second {hit.best_second}")

        by_the_second = client.compare("a dog barks", ItemReference(clip.stem)).maps[0]
        print("words by seconds:", *by_the_second.cosines, sep="\n  ")

        first = client.get(clip.stem).streams[by_the_second.b].codes[0][0]
        print(f"code {first} of layer 1 occurs in", client.code(1, first).counts)
        print("items:", *(item.id for item in client.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
