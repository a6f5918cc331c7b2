"""Small archives in exactly the published formats.

The features of a clip are its number, plus a thousandth of the step, everywhere.
"""

import csv
import json
import pickle
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE

AVE = Path("data/AVE-ECCV18-master/data")
AVEL = Path("data/vggsound40k")
UCF_CLASSES = [f"PlayingThing{number}" for number in range(16)]
VGG_CLASSES = [f"playing thing {number}" for number in range(16)]
SHARED_CLASSES = ["Speech", "Dog", *(f"Shared_{number}" for number in range(10))]
AVVP_CLASSES = ["Speech", "Violin_fiddle", "Frying_(food)", *(f"Own_{n}" for n in range(22))]
AVEL_CLASSES = [f"class, number {number}" for number in range(141)]


def features(number: float, shape: tuple[int, ...], *, steps: int = 10) -> NDArray[np.float64]:
    """Return ``[steps, *shape]`` for clip ``number``."""
    values = number + np.arange(steps) / 1000
    return np.broadcast_to(values.reshape(-1, *(1 for _ in shape)), (steps, *shape)).copy()


def write_zip(path: Path, array: object, *, member: str = "feature.pkl") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(member, pickle.dumps(array))


def write_store(
    folder: Path, ids: Iterable[str], shape: tuple[int, ...], *, steps: int = 10
) -> None:
    for number, clip in enumerate(ids):
        write_zip(folder / f"{clip}.zip", features(number, shape, steps=steps))


def write_table(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, delimiter: str = ","
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([columns, *rows])


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_h5(path: Path, key: str, rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=rows)


def write_ave(root: Path, *, orders: Mapping[str, Sequence[int]] | None = None) -> None:
    """Write seven clips; clip n is of class n from second 2 to 5, and background else."""
    folder, clips = root / AVE, range(7)
    write_h5(folder / "audio_feature.h5", "avadataset", [features(n, AUDIO_SHAPE) for n in clips])
    write_h5(folder / "visual_feature.h5", "avadataset", [features(n, VIDEO_SHAPE) for n in clips])
    write_h5(folder / "labels.h5", "avadataset", ave_labels(7, 28))
    orders = orders or {"train": [3, 0, 6, 1], "val": [2], "test": [5, 4]}
    for split, order in orders.items():
        write_h5(folder / f"{split}_order.h5", "order", np.array(order))


def ave_labels(clips: int, classes: int) -> NDArray[np.float64]:
    """Return ``[clips, 10, classes + 1]``, background last."""
    labels = np.zeros((clips, 10, classes + 1))
    labels[:, :, -1] = 1
    for clip in range(clips):
        labels[clip, 2:5, -1] = 0
        labels[clip, 2:5, clip % classes] = 1
    return labels


AVVP_COLUMNS = ("filename", "event_labels", "onset", "offset")
AVVP_ROWS: dict[str, list[tuple[str, str, str, str]]] = {
    "audio": [
        (
            "IgN7v8nWmx8_30_40",
            "Speech,Speech,Violin_fiddle,Violin_fiddle,Violin_fiddle",
            "0,5,0,6,9",
            "1,9,5,8,10",
        ),
        ("a_b_c_d_e_f_0_10", "Frying_(food)", "0", "10"),
        ("P7x4FV4lg_570_580", "Speech", "3", "6"),
        *((f"audio-only{n}_0_10", "Own_3", "2", "4") for n in range(6)),
    ],
    "visual": [
        ("IgN7v8nWmx8_30_40", "Violin_fiddle", "0", "10"),
        ("P7x4FV4lg_570_580", "Frying_(food)", "0", "10"),
        *((f"video-only{n}_0_10", "Own_4", "2", "4") for n in range(5)),
    ],
}


def write_avvp(root: Path) -> None:
    folder = root / "data/AVVP"
    write_lines(folder / "data/AVVP_Categories.txt", AVVP_CLASSES)
    for kind, name, shape in (("audio", "audio", AUDIO_SHAPE), ("visual", "video", VIDEO_SHAPE)):
        rows = AVVP_ROWS[kind]
        table = folder / f"data/AVVP_eval_{kind}_checked_combined.csv"
        write_table(table, AVVP_COLUMNS, rows, delimiter="\t")
        write_store(folder / f"feature/{name}/zip", [row[0][:11] for row in rows], shape)


def write_ave_avvp(root: Path) -> None:
    """Write the shared classes; needs ``write_ave`` and ``write_avvp``."""
    folder = root / "data/AVE_AVVP"
    write_lines(folder / "AVE_AVVP_Categories.txt", SHARED_CLASSES)
    write_h5(folder / "ave_avvp_labels.h5", "avadataset", ave_labels(7, 12))
    write_h5(folder / "ave_avvp_order.h5", "order", np.array([1, 4]))
    for kind in ("audio", "visual"):
        table = folder / f"AVE_AVVP_eval_{kind}_checked_combined.csv"
        row = ("P7x4FV4lg_570_580", "Speech,Dog", "3,0", "6,2")
        write_table(table, AVVP_COLUMNS, [row], delimiter="\t")


UCF_IDS = [f"v_PlayingThing{n % 16}_g{n + 1:02d}_c01" for n in range(0, 20, 3)]  # groups 1 to 19
VGG_ROWS = [
    ("playing thing 3", "-m7A_zz-q0w", "train"),
    ("playing thing 0", "aaaaaaaaaaa", "val"),
    ("playing thing 15", "bbbbbbbbbbb", "test"),
]


def write_ucf_vgg(root: Path) -> None:
    folder = root / "data/UCF101"
    write_lines(folder / "data/UCF101sameVGGSound.txt", UCF_CLASSES)
    write_lines(folder / "data/VGGSoundsameUCF101.txt", VGG_CLASSES)
    rows = [(clip.split("_")[1], clip) for clip in UCF_IDS]
    write_table(folder / "data/ucf2vggsound.csv", ("category", "video_id"), rows)
    write_store(folder / "feature/video/zip", UCF_IDS, VIDEO_SHAPE)
    write_table(folder / "data/vggsound2ucf.csv", ("category", "video_id", "split"), VGG_ROWS)
    write_store(root / AVEL / "feature/audio/zip", [row[1] for row in VGG_ROWS], AUDIO_SHAPE)


def write_mscoco(root: Path) -> None:
    folder = root / "data/MSCOCO"
    folder.mkdir(parents=True)
    pairs = [(139, "a room with chairs"), (285, "a bear"), (139, "a tv in a room")]
    annotations = [{"image_id": image, "caption": text, "id": 7} for image, text in pairs]
    (folder / "val_part_1.json").write_text(json.dumps({"annotations": annotations}))
    write_store(folder / "feature/zip", ["000000000139", "000000000285"], VIDEO_SHAPE, steps=1)


def write_clotho(root: Path, *, clips: int = 11) -> None:
    folder = root / "data/clotho2.1"
    names = [f"rain, wind {number}" for number in range(clips)]
    columns = ("file_name", *(f"caption_{number}" for number in range(1, 6)))
    rows = [(f"{own}.wav", *(f"{own}, heard {n}" for n in range(5))) for own in names]
    write_table(folder / "clotho_captions_evaluation.csv", columns, rows)
    for number, name in enumerate(names):
        own = features(number, AUDIO_SHAPE, steps=15 + number)
        write_zip(folder / f"feature/zip/{name}.zip", own)


def write_msrvtt(root: Path) -> None:
    folder = root / "data/MSRVTT"
    columns = ("key", "vid_key", "video_id", "sentence")
    rows = [(f"ret{n}", f"msr{n}", f"video{n}", f"a man does thing {n}") for n in range(3)]
    write_table(folder / "MSRVTT_JSFUSION_test.csv", columns, rows)
    write_store(folder / "feature/zip", [row[2] for row in rows], VIDEO_SHAPE, steps=4)


AVEL_ROWS = [
    ("class, number 2", "first-clip_", "train"),
    ("class, number 0", "-second_clip", "val"),
    ("class, number 140", "third", "test"),
    ("class, number 2", "fourth", "train"),
    ("class, number 7", "fifth", "train"),
]


def write_avel(root: Path, rows: Sequence[tuple[str, str, str]] = AVEL_ROWS) -> None:
    """Write training clips; their sounds have 9, 10, 11, ... seconds."""
    folder = root / AVEL
    write_lines(folder / "data/VggsoundAVEL40kCategories.txt", AVEL_CLASSES)
    write_table(folder / "data/vggsound-avel40k.csv", ("category", "video_id", "split"), rows)
    prompts = [(own, f"this is {own}, and how") for own in reversed(AVEL_CLASSES)]
    write_table(folder / "data/vggsoundCategories2Prompts.csv", ("label", "prompt"), prompts)
    for number, (_, clip, _) in enumerate(rows):
        sound = features(number, AUDIO_SHAPE, steps=9 + number)
        write_zip(folder / f"feature/audio/zip/{clip}.zip", sound)
        write_zip(folder / f"feature/video/zip/{clip}.zip", features(number, VIDEO_SHAPE))
