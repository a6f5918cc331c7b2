"""Configurations that contradict themselves are refused with the numbers that do."""

import pytest
from pydantic import ValidationError

from model.config import FSQConfig, MapConfig, ModalityConfig, RVQConfig, SRCIDConfig, VQConfig


@pytest.mark.parametrize("config", [VQConfig, RVQConfig])
def test_a_codebook_has_as_many_codes_as_an_int16_can_name(config: type) -> None:
    assert config(codebook_size=32_768).codebook_size == 32_768
    with pytest.raises(ValidationError, match="32768"):
        config(codebook_size=32_769)


@pytest.mark.parametrize("levels", [(1, 5), (200, 200), ()])
def test_levels_make_a_grid_of_two_points_or_more_a_side(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        FSQConfig(levels=levels)


def test_maps_need_their_configuration_and_vectors_have_none() -> None:
    with pytest.raises(ValidationError, match="MapConfig"):
        ModalityConfig(backbone="x", feature_shape=(7, 7, 8), specific_dim=4)
    with pytest.raises(ValidationError, match="MapConfig"):
        ModalityConfig(backbone="x", feature_shape=(8,), specific_dim=4, map=MapConfig())


def test_heads_divide_the_dimension() -> None:
    with pytest.raises(ValidationError, match="255"):
        SRCIDConfig(modalities={}, dim=255)


def test_an_unknown_field_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="codebook_sizes"):
        VQConfig.model_validate({"codebook_sizes": 3})
