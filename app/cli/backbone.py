"""``srcid backbone``: download the pretrained models that checkpoints are built on."""

from typing import Annotated

import typer

backbone = typer.Typer(
    name="backbone",
    help="Download pretrained models from the Hugging Face Hub.",
    no_args_is_help=True,
)


@backbone.callback()
def group() -> None:
    """Keep `fetch` a word of its own."""


@backbone.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|hf:OWNER/NAME",
            help="A checkpoint (a folder, a shipped name or OWNER/NAME), or a model: "
            "hf:OWNER/NAME, or hf:OWNER/NAME@REVISION.",
        ),
    ],
) -> None:
    """Download a model, or all the models that a checkpoint needs, and print where they are.

    Only this command downloads by itself. `serve`, `index` and `search` read local files only;
    `extract`, `align` and `train` download with --download. HF_HOME, HF_TOKEN, HF_ENDPOINT and
    HF_HUB_OFFLINE apply as usual.
    """
    from model.checkpoint import fetch_backbones, is_checkpoint, locate, read_config
    from model.hub import Snapshot, find_snapshot, is_hub_id

    snapshots: list[Snapshot] = []
    if is_hub_id(name):
        snapshots.append(find_snapshot(name, download=True))
        folder = snapshots[0].folder
    else:
        folder = locate(name, download=True)
    if is_checkpoint(folder):
        snapshots += fetch_backbones(read_config(folder))
    for snapshot in snapshots:
        at = f"hf:{snapshot.repo}@{snapshot.commit}" if snapshot.repo else "local files"
        print(f"{at}\n  folder  {snapshot.folder}\n  sha256  {snapshot.sha256}")
    if not snapshots:
        print(f"{name} needs no model of the Hub")
