"""Which clips a probe is fitted to, and which it is judged on."""

from typing import Literal

Split = Literal["train", "validation", "test"]  # of a data set that is published with them
Part = Literal["all", "train", "test"]  # "all": as the paper's protocol, which judges on it too
