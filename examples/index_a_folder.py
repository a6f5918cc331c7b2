"""Index every video, sound and picture of a folder. Run it again to add new files.

    python examples/index_a_folder.py ~/Videos my-index

`srcid index` is the same as a command.
"""

import sys
import threading
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from app.indexing.bulk import BulkIndex
from app.indexing.run import files_below, index_files
from app.main import open_engine, open_items
from app.settings import load_settings


def main(folder: str, data_dir: str) -> None:
    settings = load_settings(data_dir=data_dir)  # the rest comes from SRCID_* or is the default
    files = list(files_below(Path(folder)))
    engine = open_engine(settings)
    with closing(open_items(settings, engine)) as items, engine:
        index = BulkIndex(engine, items)
        outcomes = index_files(index, files, workers=index.num_workers, stop=threading.Event())
        for outcome in tqdm(outcomes, total=len(files), unit="file"):
            if outcome.kind == "failed":
                tqdm.write(f"{outcome.file.label}: {outcome.detail}")
        print(f"{len(items.store)} items in {data_dir}")


if __name__ == "__main__":
    main(*sys.argv[1:])
