"""Packages that are extras: where one is missing, a command says how to have it."""

import sys
from pathlib import Path

import pytest

from tests.app.cli.running import Run


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("pyarrow.parquet", ("store", "export", "index.parquet"), "parquet"),
        ("pymilvus", ("search", "a dog"), "cluster"),
        ("ray", ("index", "media", "--engine", "ray"), "ray"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    run: Run,
    package: str,
    words: tuple[str, ...],
    extra: str,
    picture: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("media").mkdir()
    Path("media/a.png").write_bytes(picture)
    assert run("index", "media").code == 0
    Path("media/b.png").write_bytes(picture)
    if package == "pymilvus":
        monkeypatch.setenv("SRCID_STORE_URL", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, package, None)  # which makes its import fail
    ran = run(*words)
    assert ran.code == 2
    assert f"pip install 'srcid[{extra}]'" in ran.err
    assert "Traceback" not in ran.err
    assert not Path("index.parquet").exists()
