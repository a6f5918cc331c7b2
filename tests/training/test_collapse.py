"""The warning where specific features lose their variance."""

import logging

import pytest

from training.collapse import CollapseWatch

AUDIO, TEXT = "layer1/specific_variance/audio", "layer2/specific_variance/text"


def test_each_collapse_is_said_once_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    watch = CollapseWatch(1e-3)
    with caplog.at_level(logging.WARNING):
        watch.observe({AUDIO: 0.5, TEXT: 2e-3}, step=0)
        assert caplog.messages == []
        watch.observe({AUDIO: 9e-4, TEXT: 2e-3}, step=1)
        watch.observe({AUDIO: 1e-5, TEXT: 1e-5}, step=2)
        watch.observe({AUDIO: 1e-5, TEXT: 1e-5}, step=3)
    assert len(caplog.messages) == 2
    assert f"step 1: {AUDIO} is 0.0009" in caplog.messages[0]
    assert f"step 2: {TEXT}" in caplog.messages[1]


def test_other_small_terms_are_no_collapse(caplog: pytest.LogCaptureFixture) -> None:
    CollapseWatch(1e-3).observe({"layer1/mi/audio": 0.0, "total": -5.0}, step=0)
    assert caplog.messages == []
