"""The corpus is made once, says what it is, and is never half there."""

from pathlib import Path

import pytest

from app.demo import corpus, drawn
from app.demo.corpus import prepare
from app.demo.drawn import DRAWINGS


@pytest.fixture
def no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without apt: what it has instead is drawn, two clips to be quick."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(drawn, "DRAWINGS", DRAWINGS[:2])


@pytest.mark.usefixtures("no_apt")
def test_without_apt_clips_are_drawn_and_it_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    made = prepare(tmp_path / "demo", say=said.append)
    assert made.kind == "drawn"
    assert "drawn here" in made.about
    assert "no apt-get" in said[-1]
    files = {f"{clip.id}.mp4" for clip in made.clips}
    assert {path.name for path in (tmp_path / "demo/clips").iterdir()} == files
    assert len(files) == 2


@pytest.mark.usefixtures("no_apt")
def test_the_next_run_takes_what_is_there(tmp_path: Path) -> None:
    first = prepare(tmp_path / "demo", say=lambda _: None)
    said: list[str] = []
    assert prepare(tmp_path / "demo", say=said.append) == first
    assert said == []


@pytest.mark.usefixtures("no_apt")
def test_an_interrupted_run_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(drawn, "write_drawing", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path / "demo", say=lambda _: None)
    assert list((tmp_path / "demo").iterdir()) == []
    assert len(prepare(tmp_path / "demo", say=lambda _: None).clips) == 2


def test_every_kind_of_corpus_says_what_it_is() -> None:
    assert "not a recording" in corpus.ABOUT["stamps"]
    assert set(corpus.ABOUT) == {"stamps", "drawn"}
