"""A run folder holds one run: its configuration says which."""

from pathlib import Path

from pydantic import ValidationError

from model.errors import ConfigError
from model.files import atomic_write_text, make_folder
from training.config import TrainConfig

CONFIG = "train.json"


def check_run_folder(out: Path, config: TrainConfig, *, resume: bool) -> None:
    """See that ``out`` holds this very run, to resume it, or none, to begin one.

    A run that was stopped while its data was read has written nothing: resumed, it begins.

    Raises:
        ConfigError: It does not.
    """
    begun = (out / CONFIG).is_file()  # else it was stopped before its first step: begin anew
    if resume and begun and read_config(out) != config:
        raise ConfigError(
            f"{out} does not hold a run of this configuration; resume with the options that "
            "it was started with, or train into another folder"
        )
    if not resume and begun:
        raise ConfigError(f"{out} already holds a run; add --resume, or name another folder")


def write_config(out: Path, config: TrainConfig) -> None:
    """Make ``out`` this run's folder."""
    make_folder(out)
    atomic_write_text(out / CONFIG, config.model_dump_json(indent=2) + "\n")


def read_config(out: Path) -> TrainConfig | None:
    """Return a run's configuration; None where there is none, or one of another version."""
    try:
        return TrainConfig.model_validate_json((out / CONFIG).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
