"""``srcid recipes`` and ``srcid config``."""

from tests.app.cli.running import Run
from training.config import TrainConfig
from training.recipes import RECIPES, recipe


def test_the_list_has_one_line_a_recipe_that_fits_a_terminal(run: Run) -> None:
    lines = run("recipes").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(RECIPES)
    assert max(map(len, lines)) <= 120


def test_config_prints_the_whole_configuration(run: Run) -> None:
    printed = TrainConfig.model_validate_json(run("config", "dcid-fsq").out)
    assert printed == recipe("dcid_fsq")


def test_config_shows_what_an_override_changes(run: Run) -> None:
    out = run("config", "srcid", "--set", "model.quantizer.codebook_size=800").out
    config = TrainConfig.model_validate_json(out)
    assert config.model.quantizer.codebook_size == 800
    assert run("config", "srcid", "--set", "model.nothing=1").code == 2
