"""Usage, duplicates and agreement, each where its value is known."""

import numpy as np
import pytest

from training.evaluation.codebook import agreement, histogram, near_duplicates, perplexity


def test_perplexity_is_the_number_of_codes_used_alike() -> None:
    codes = [np.array([0, 1, 2, 3], np.int16), np.array([0, 1, 2, 3], np.int16)]
    assert perplexity(histogram(codes, 400)) == pytest.approx(4)
    assert perplexity(histogram([np.zeros(9, np.int16)], 400)) == pytest.approx(1)


def test_a_duplicate_is_a_used_code_in_the_direction_of_another() -> None:
    table = np.array([[1, 0], [2, 0.001], [0, 1], [1, 0.0005]], np.float32)
    assert near_duplicates(table, np.array([True, True, True, False])) == pytest.approx(2 / 3)
    assert near_duplicates(table, np.array([True, False, True, False])) == 0.0
    assert near_duplicates(table, np.array([False, False, True, False])) == 0.0


def test_agreement_is_the_overlap_of_paired_histograms() -> None:
    seen = {"dog": np.array([0.5, 0.5, 0.0]), "sea": np.array([1.0, 0.0, 0.0])}
    heard = {"dog": np.array([0.5, 0.0, 0.5]), "sea": np.array([1.0, 0.0, 0.0])}
    assert agreement(seen, heard) == pytest.approx((0.5 + 1.0) / 2)
    apart = {"dog": np.array([0.0, 0.0, 1.0]), "rain": np.array([1.0, 0.0, 0.0])}
    assert agreement(seen, apart) == 0.0
