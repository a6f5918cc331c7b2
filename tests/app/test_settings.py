from pathlib import Path

import pytest

from app.settings import Settings, load_settings
from model.errors import ConfigError


def test_the_environment_sets_and_an_option_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRCID_PORT", "8001")
    monkeypatch.setenv("SRCID_HOST", "::1")
    settings = load_settings(port=9000, host=None)
    assert (settings.port, settings.host) == (9000, "::1")


def test_the_defaults_serve_the_shipped_checkpoint_on_this_machine_only() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.checkpoint) == ("127.0.0.1", 8000, "default")
    assert settings.data_dir == Path.home() / ".srcid"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SRCID_PORT", "eighty"),
        ("SRCID_PORT", "70000"),
        ("SRCID_DEVICE", "gpu"),
        ("SRCID_MAX_STEPS", "0"),
        ("SRCID_CHECKPOINT", ""),
    ],
)
def test_an_impossible_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=f"{variable} is '{value}': .* Correct it"):
        load_settings()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
