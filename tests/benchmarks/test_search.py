import pytest

from benchmarks.search import main


@pytest.mark.parametrize("corpus", ["topical", "random"])
def test_every_way_to_search_answers(corpus: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(count=1000, corpus=corpus, media=None, floats=False, queries=2, quick=False)
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith(("| codes", "| FAISS"))]
    ways = {row[0] for row in rows}
    assert len(ways) == len(rows)
    assert sum("lists" in way for way in ways) > 5
    exact = [row for row in rows if row[0] in {"| codes: scan", "| FAISS flat"}]
    assert [row[-1] for row in exact] == ["1.000 |", "1.000 |"]
