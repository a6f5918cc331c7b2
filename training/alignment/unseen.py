"""What the scores of an alignment mean for things that it has seen no example of.

On its own examples every checkpoint looks surer than it is on anything else. So the bank is
aligned anew without each of some groups of classes, and curves are fitted to the scores between
sentences, pictures and sounds of the classes that were left out.
"""

import random
from collections.abc import Iterator, Mapping

from model.backbones.base import Backbone
from model.calibration import Calibration
from model.config import SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID
from training.alignment.align import align
from training.data.bank import Bank, Entry
from training.data.sentences import TextVectors, mentions, sentences_about
from training.evaluation.calibration import agreement_of, fitted, observe

FOLDS = 5
SPLIT = "unseen"


def calibrate_unseen(
    aligned: SRCID,
    bank: Bank,
    backbones: Mapping[Modality, Backbone],
    *,
    text: TextVectors,
    config: SRCIDConfig,
    seed: int,
) -> Calibration | None:
    """Return what the scores of ``aligned`` mean; None where there are too few classes to tell.

    Takes ``FOLDS`` alignments; the other arguments are those of ``align``. Whether modalities
    share their codes is measured on the bank's test split, where it has one of each modality.
    """
    groups = list(folds(bank))
    if len(groups) < FOLDS:
        return None
    observed = []
    for unseen in groups:
        model = align(bank, backbones, text=text, config=config, seed=seed, without=sorted(unseen))
        observed.append(observe(model, asked(bank, unseen, text), SPLIT))
    has_test = all(bank.select(m, "test") for m in aligned.modalities)
    agreement = agreement_of(aligned, bank, "test") if has_test else {}
    return Calibration(matches=fitted(observed), agreement=agreement)


def folds(bank: Bank) -> Iterator[set[str]]:
    """Yield the classes of each fold: such with pictures and sounds, so that all pairs occur.

    Classes whose names contain one another ("crocodile", "crocodile head") stay together. None
    are yielded where there are not two groups for each fold.
    """
    has = [
        {entry.label for entry in bank.entries if entry.modality is m}
        for m in (Modality.VIDEO, Modality.AUDIO)
    ]
    groups = _groups(sorted(has[0] | has[1]))
    random.Random(0).shuffle(groups)

    def rarity(group: set[str]) -> int:
        return -2 if all(group & own for own in has) else -1 if group & has[1] else 0

    groups.sort(key=rarity)
    if sum(rarity(group) == -2 for group in groups) < 2 * FOLDS:
        return
    for fold in range(FOLDS):
        yield set().union(*groups[fold::FOLDS])


def asked(bank: Bank, unseen: set[str], text: TextVectors) -> Bank:
    """Return the items of some classes, and sentences from templates about each."""
    entries = [
        entry._replace(split=SPLIT)
        for entry in bank.entries
        if entry.label in unseen and entry.modality is not Modality.TEXT
    ]
    features = {entry.id: bank.features[entry.id] for entry in entries}
    for m, label in sorted({(entry.modality, entry.label) for entry in entries}):
        for number, sentence in enumerate(sentences_about(label, m)[:4]):
            own = Entry(f"{m}/{label}/{number}", Modality.TEXT, label, SPLIT, sentence)
            entries.append(own)
            features[own.id] = text.words(sentence)[None]
    return Bank(entries, features)


def _groups(classes: list[str]) -> list[set[str]]:
    """Return the classes, together where the name of one is in that of another."""
    groups: list[set[str]] = []
    for label in classes:
        near = [own for own in groups if any(_alike(label, other) for other in own)]
        groups = [own for own in groups if own not in near]
        groups.append({label}.union(*near))
    return groups


def _alike(one: str, other: str) -> bool:
    return mentions(one, [other]) or mentions(other, [one])
