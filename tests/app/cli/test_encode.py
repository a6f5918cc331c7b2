"""``srcid encode``."""

from pathlib import Path

from model.encoder import Encoder
from tests.app.cli.running import Run


def test_json_holds_the_codes_of_the_file(
    run: Run, tmp_path: Path, clip: bytes, tiny_checkpoint: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    ran = run("encode", path, "--json")
    assert ran.code == 0
    body = ran.json()
    assert body["fingerprint"] == Encoder.from_pretrained(tiny_checkpoint).fingerprint
    assert body["streams"].keys() == {"audio", "video"}


def test_the_table_has_a_row_a_layer(run: Run) -> None:
    ran = run("encode", "--text", "a dog barks")
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["stream", "layer", "codes"]
    assert [line[:2] for line in lines[1:]] == [["text", "1"], ["text", "2"]]
    assert all(len(line) == 2 + 3 for line in lines[1:])


def test_what_does_not_decode_is_one_sentence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    ran = run("encode", path)
    assert ran.code == 2
    assert ran.err.startswith("srcid: ")
    assert ran.err.count("\n") == 1
    assert run("encode", tmp_path / "nothing.mp4").code == 2
    assert run("encode", "--text", "").code == 2
