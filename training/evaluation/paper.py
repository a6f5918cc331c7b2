"""The cells of the paper's tables, in percent.

Table I and II of SRCID (arXiv 2412.19128). Table III (retrieval) is not in the text that we have.
"""

from typing import NamedTuple

COLUMNS = (  # of both tables, before their mean
    "AVE V>A", "AVE A>V", "AVVP V>A", "AVVP A>V",
    "AVE>AVVP V>A", "AVE>AVVP A>V", "UCF(v)<>VGG(a) V>A", "UCF(v)<>VGG(a) A>V",
)  # fmt: skip
WITHIN_COLUMNS = (  # of the second rows of Table I; AVE>AVVP has none
    "AVE V>V", "AVE A>A", "AVVP V>V", "AVVP A>A", "UCF(v)<>VGG(a) V>V", "UCF(v)<>VGG(a) A>A",
)  # fmt: skip


class PaperRow(NamedTuple):
    """A row of a table, and where ours comes from."""

    title: str  # as the paper prints it
    recipe: str
    layers: str  # "1" or "both": whose codes the probes see
    cells: tuple[float, ...]  # in the order of ``COLUMNS``
    mean: float  # as printed
    within: tuple[float, ...] = ()  # in the order of ``WITHIN_COLUMNS``, where printed
    within_mean: float | None = None


DCID = PaperRow(
    "DCID (VQ)", "dcid", "1", (54.1, 55.0, 63.4, 71.0, 53.0, 52.4, 67.1, 60.6), 59.58,
    (64.8, 65.8, 71.0, 72.9, 80.0, 85.4), 73.32,
)  # fmt: skip
# The last two cells of FSQ are those of VQ: a copying error of the paper's, by all appearance.
FSQ = PaperRow(
    "DCID (FSQ)", "dcid_fsq", "1", (45.2, 50.4, 48.1, 54.9, 51.4, 44.0, 67.1, 60.6), 52.71,
    (76.5, 78.2, 65.8, 72.1, 98.5, 92.2), 80.55,
)  # fmt: skip
RVQ2 = PaperRow(
    "DCID (RVQ-2)", "dcid_rvq2", "1", (49.3, 55.0, 58.4, 66.9, 57.4, 54.2, 68.9, 63.5), 59.20
)
RVQ3 = PaperRow(
    "DCID (RVQ-3)", "dcid_rvq3", "1", (47.6, 53.2, 59.9, 67.2, 54.3, 53.0, 68.5, 62.4), 58.26
)
RVQ4 = PaperRow(
    "DCID (RVQ-4)", "dcid_rvq4", "1", (48.5, 55.5, 58.7, 68.6, 56.3, 54.7, 69.4, 64.3), 59.50,
    (69.9, 70.3, 75.1, 75.6, 88.0, 90.8), 78.28,
)  # fmt: skip
CODIS = PaperRow("CODIS", "codis", "1", (36.8, 39.7, 46.7, 47.6, 37.8, 37.6, 50.8, 45.2), 42.78)
TURN = PaperRow("TURN", "turn", "1", (37.6, 39.2, 48.4, 50.2, 36.6, 38.4, 49.4, 46.1), 43.24)
CMCM = PaperRow("CMCM", "cmcm", "1", (46.3, 45.8, 57.1, 58.2, 44.1, 45.2, 51.2, 48.3), 49.53)
ONLY1 = PaperRow(
    "SRCID (only1)", "srcid", "1", (49.4, 53.5, 60.4, 77.2, 53.4, 52.9, 70.6, 59.5), 59.61
)
SRCID = PaperRow("SRCID", "srcid", "both", (49.2, 54.2, 72.1, 85.6, 54.8, 53.7, 69.1, 59.0), 62.21)

TABLES = {
    1: (DCID, FSQ, RVQ2, RVQ3, RVQ4, ONLY1, SRCID),
    2: (CODIS, TURN, CMCM, DCID, RVQ2, RVQ3, RVQ4, ONLY1, SRCID),
}
