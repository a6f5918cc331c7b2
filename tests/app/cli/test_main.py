"""What all commands share: help, errors, exit codes."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from app.cli.main import COMMANDS
from tests.app.cli.running import Run


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['srcid', '--help']\n"
        "from app.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'fastapi', 'faiss', 'numpy', 'transformers') "
        "if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
    for command in COMMANDS:
        assert command.__name__ in ran.stdout
        assert command.__doc__


@pytest.mark.parametrize("arguments", [["encode"], ["search"], ["encode", "x", "--text", "a"]])
def test_a_source_is_a_file_or_a_sentence(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "give either a file or a sentence" in ran.err


def test_a_file_is_not_taken_for_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    ran = run("encode", "--text", tmp_path / "a.wav")
    assert ran.code == 2
    assert "give it as FILE" in ran.err


def test_an_error_is_one_sentence_and_exit_code_2(run: Run) -> None:
    ran = run("encode", "--text", "a dog", "--checkpoint", "nowhere")
    assert ran.code == 2
    assert ran.err.startswith("srcid: no checkpoint 'nowhere': ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_a_wrong_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRCID_DEVICE", "abacus")
    ran = run("encode", "--text", "a dog")
    assert ran.code == 2
    assert ran.err.startswith("srcid: SRCID_DEVICE is 'abacus': ")


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version") == (0, f"srcid {version('srcid')}\n", "")


def test_a_hint_of_a_command_is_a_command(run: Run) -> None:
    run("items", "add", "a b", "--text", "a dog")
    missing = run("items", "show", "nothing")
    assert missing.err == "srcid: there is no item 'nothing': `srcid items list` lists all items\n"
    taken = run("items", "add", "a b", "--text", "a dog")
    assert taken.err.startswith("srcid: an item 'a b' exists: replace it (--replace), delete it")


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    ran = run("sing")
    assert ran.code == 2
    assert "sing" in ran.err
