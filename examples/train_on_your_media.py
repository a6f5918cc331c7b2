"""Train on media of your own: a CSV with the columns file, caption, label, split; or a folder.

    python examples/train_on_your_media.py clips.csv my-run

Features of the frozen backbones are extracted once; then the network is trained on them.
`srcid extract` and `srcid train` are the same as commands, with every option.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from model.device import usable_device
from training.data.extract import extract
from training.recipes import override, recipe
from training.train import train


def main(media: str, out: str, changes: Mapping[str, object] | None = None) -> None:
    device = usable_device("auto")
    features = Path(out) / "features"
    # A recipe is every number of a run; any of them can be changed by its path.
    config = override(recipe("compact"), {"data.folder": str(features), **(changes or {})})

    report = extract(
        Path(media),
        features,
        config.model,
        device=device,
        workers=os.cpu_count() or 1,
        seconds=60,
    )
    print(f"{len(report.clips)} clips, {len(report.failed)} unusable files")

    checkpoint = train(config, Path(out) / "run", device=device)
    print(f"srcid serve --checkpoint {checkpoint}")


if __name__ == "__main__":
    main(*sys.argv[1:])
