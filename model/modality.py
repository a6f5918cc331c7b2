"""The three modalities that share a vocabulary."""

from enum import StrEnum


class Modality(StrEnum):
    """A kind of input. MM-EMA visits the modalities in the order in which they stand here."""

    AUDIO = "audio"
    VIDEO = "video"  # a picture is a video of one step
    TEXT = "text"
