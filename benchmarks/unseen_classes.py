"""Classes that are held out, fold by fold, so that each is unseen once."""

import random

from model.modality import Modality
from training.data.bank import Bank, Entry

FOLDS = 5
RELATED = (  # held out together
    ("crocodile", "crocodile head"),
    ("cougar body", "cougar face"),
    ("flamingo", "flamingo head"),
    ("piano", "grand piano"),
    ("clock", "watch", "metronome"),
    ("dog", "dalmatian", "snoopy"),
    ("electric guitar", "acoustic guitar", "banjo"),
    ("ketch", "schooner", "ferry"),
    ("lobster", "crayfish", "crab"),
    ("wild cat", "leopards"),
    ("lotus", "water lilly"),
    ("stegosaurus", "brontosaurus"),
    ("emu", "ibis"),
    ("chair", "windsor chair", "wheelchair"),
    ("violin", "fiddle", "cello", "double bass", "string orchestra"),
    ("fire crackling", "chainsaw"),
    ("church organ", "accordion", "harmonica"),
    ("sea", "sea shore"),
)


def held_out(bank: Bank, *, draw: int = 0) -> list[set[str]]:
    """Return the classes of each fold, drawn by ``draw``: with photos and sounds spread first."""
    has = {
        m: {entry.label for entry in bank.entries if entry.modality is m}
        for m in (Modality.VIDEO, Modality.AUDIO)
    }
    known = has[Modality.VIDEO] | has[Modality.AUDIO]
    related = [sorted(known & set(group)) for group in RELATED]
    alone = known - {label for group in related for label in group}
    units = [group for group in related if group] + [[label] for label in sorted(alone)]
    random.Random(draw).shuffle(units)

    def kinds(unit: list[str]) -> int:
        seen = bool(set(unit) & has[Modality.VIDEO])
        heard = bool(set(unit) & has[Modality.AUDIO])
        return -2 if seen and heard else -1 if heard else 0

    folds: list[set[str]] = [set() for _ in range(FOLDS)]
    for place, unit in enumerate(sorted(units, key=kinds)):
        folds[place % FOLDS] |= set(unit)
    return folds


def split(bank: Bank, unseen: set[str]) -> tuple[Bank, dict[str, list[Entry]]]:
    """Return what may be trained on, and what is tested on: of unseen and of seen classes."""
    training: list[Entry] = []
    tested: dict[str, list[Entry]] = {"unseen": [], "seen": []}
    for place, entry in enumerate(bank.entries):
        if entry.modality is Modality.TEXT:
            training.append(entry)
        elif entry.label in unseen:
            tested["unseen"].append(entry)
        elif entry.split == "test" or (entry.id.startswith("open") and place % 4 == 0):
            tested["seen"].append(entry)
        else:
            training.append(entry)
    return Bank(training, bank.features), tested
