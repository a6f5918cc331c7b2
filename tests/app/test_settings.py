import re
from pathlib import Path

import pytest

from app.settings import PREFIX, Settings, load_settings
from model.errors import ConfigError

DOCS = Path(__file__).parents[2] / "docs"


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


@pytest.mark.parametrize("kind", ["postings", "flat", "hnsw"])
def test_an_index_that_was_removed_is_told_with_what_to_use(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("SRCID_INDEX", kind)
    with pytest.raises(ConfigError, match=f"SRCID_INDEX is '{kind}': .* use auto, codes or ivf"):
        load_settings()


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SRCID_MAX_QUEU", "3")
    assert load_settings().max_queue == Settings.model_fields["max_queue"].default
    assert caplog.messages == [
        "unknown setting SRCID_MAX_QUEU, ignored: did you mean SRCID_MAX_QUEUE?"
    ]


def test_no_variable_that_the_documentation_names_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    named = {
        name for page in DOCS.glob("*.md") for name in re.findall(rf"{PREFIX}\w+", page.read_text())
    }
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    assert named > settings
    for name in named - settings:  # any value will do
        monkeypatch.setenv(name, "x")
    load_settings()
    assert caplog.messages == []


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
