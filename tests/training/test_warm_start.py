"""When layer 2 joins, and the traps on the way there."""

import logging

import pytest

from training.config import WarmStartConfig
from training.warm_start import WarmStart

MI = WarmStartConfig(trigger="mi", threshold=0.1, patience=10, min_steps=50)


def observed(warm_start: WarmStart, steps: int, *, mi: float, fit: float) -> WarmStart:
    for _ in range(steps):
        warm_start.observe(mi, fit)
    return warm_start


def test_the_epoch_trigger_opens_layer_2_at_its_epoch(caplog: pytest.LogCaptureFixture) -> None:
    warm_start = WarmStart(WarmStartConfig(epoch=2), 2)
    with caplog.at_level(logging.INFO):
        for epoch, layers in enumerate([1, 1, 2, 2]):
            warm_start.start_epoch(epoch)
            observed(warm_start, 7, mi=5.0, fit=-10.0)
            assert warm_start.active_layers == layers
    assert warm_start.opened_at == 14
    assert "layer 2 joins at step 14" in caplog.text


def test_a_bound_near_zero_from_the_first_step_does_not_open_it_early() -> None:
    """Before anything is learned the bound is ~0 as well."""
    warm_start = observed(WarmStart(MI, 2), MI.min_steps - 1, mi=0.0, fit=-100.0)
    assert warm_start.active_layers == 1


def test_it_opens_when_the_bound_was_near_zero_for_patience_steps_from_min_steps_on() -> None:
    """Calm steps count from step ``min_steps`` itself: the last of 10 is the 59th."""
    warm_start = observed(WarmStart(MI, 2), 58, mi=0.0, fit=-100.0)
    assert warm_start.active_layers == 1
    assert observed(warm_start, 1, mi=0.0, fit=-100.0).opened_at == 59


def test_the_bound_must_stay_near_zero_for_a_while() -> None:
    warm_start = WarmStart(MI, 2)
    observed(warm_start, 200, mi=3.0, fit=-100.0)
    assert warm_start.active_layers == 1
    for _ in range(600):
        warm_start.observe(0.0, -100.0)
        if warm_start.active_layers == 2:
            break
    assert abs(warm_start.mi) < MI.threshold
    assert warm_start.opened_at is not None
    assert warm_start.opened_at >= 200 + MI.patience


def test_a_fit_that_still_moves_does_not_open_it() -> None:
    warm_start = WarmStart(MI, 2)
    for step in range(300):
        warm_start.observe(0.0, -float(step))
    assert warm_start.active_layers == 1


def test_a_very_negative_bound_is_not_near_zero() -> None:
    assert observed(WarmStart(MI, 2), 300, mi=-5.0, fit=-100.0).active_layers == 1


def test_once_open_it_stays_open_and_keeps_its_step() -> None:
    warm_start = observed(WarmStart(MI, 2), 300, mi=0.0, fit=-100.0)
    opened_at = warm_start.opened_at
    assert opened_at is not None
    observed(warm_start, 300, mi=50.0, fit=0.0)
    observed(warm_start, 2000, mi=0.0, fit=-100.0)
    assert warm_start.active_layers == 2
    assert warm_start.opened_at == opened_at


def test_a_network_of_one_layer_has_nothing_to_open() -> None:
    warm_start = WarmStart(WarmStartConfig(epoch=0), 1)
    warm_start.start_epoch(0)
    assert warm_start.active_layers == 1


def test_a_restored_one_goes_on_as_if_never_stopped() -> None:
    whole, first = WarmStart(MI, 2), WarmStart(MI, 2)
    observed(first, 55, mi=0.01, fit=-99.0)
    second = WarmStart(MI, 2)
    second.restore(first.state())
    observed(second, 40, mi=0.0, fit=-100.0)
    observed(observed(whole, 55, mi=0.01, fit=-99.0), 40, mi=0.0, fit=-100.0)
    assert second.state() == whole.state()


@pytest.mark.parametrize(
    ("config", "waits_for"), [(WarmStartConfig(epoch=2), "epoch 2"), (MI, "layer 1's MI")]
)
def test_a_run_that_ends_before_layer_2_joined_says_so(
    config: WarmStartConfig, waits_for: str, caplog: pytest.LogCaptureFixture
) -> None:
    warm_start = WarmStart(config, 2)
    warm_start.start_epoch(0)
    warm_start.finish()
    assert f"layer 2 never joined (warm_start waits for {waits_for}" in caplog.text


def test_a_run_that_layer_2_joined_or_that_has_none_ends_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for layers in (1, 2):
        warm_start = WarmStart(WarmStartConfig(epoch=0), layers)
        warm_start.start_epoch(0)
        warm_start.finish()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
