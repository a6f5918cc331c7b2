"""A scene as a media file, to look at and to send to the server."""

from pathlib import Path

from model.files import atomic_path
from model.modality import Modality
from model.video_file import write_video
from training.data.scenes.compose import frame_at, sound_of
from training.data.scenes.material import Material
from training.data.scenes.script import SECONDS, SETS, Scene

FPS = 10  # so that a frame lies in the middle of each second, where features are taken


def write_scene(path: Path, scene: Scene, material: Material) -> None:
    """Write an mp4 of what is seen and heard, each where the set has it.

    Raises:
        DataError: A photo or recording of the scene does not decode.
    """
    modalities = SETS[scene.set]
    times = [n / FPS for n in range(SECONDS * FPS)] if Modality.VIDEO in modalities else []
    with atomic_path(path) as temporary:
        write_video(
            temporary,
            frames=(frame_at(scene, time, material) for time in times),
            fps=FPS,
            sound=sound_of(scene, material) if Modality.AUDIO in modalities else None,
            rate=material.rate,
            x264={"crf": "20"},
        )
