"""VGG19 against torchvision's own module and transforms, at the real widths."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from model.backbones import build_backbone
from model.backbones.vgg19 import VGG19
from model.errors import CheckpointError, ConfigError
from model.media import Clip
from tests.backbone_weights import vgg19_weights


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """Torchvision's network with random weights; its classifier's are left empty."""
    with torch.device("meta"):
        network = torchvision.models.vgg19(weights=None)
    features = {n: x for n, x in vgg19_weights().items() if n.startswith("features")}
    network.load_state_dict(features, strict=False, assign=True)
    return network.eval()


@pytest.fixture
def backbone() -> VGG19:
    return VGG19(vgg19_weights(narrower=16))


def clip(steps: int, frames_per_step: int, height: int = 256, width: int = 300) -> Clip:
    rng = np.random.default_rng(steps)
    frames = rng.integers(0, 256, (steps, frames_per_step, height, width, 3), np.uint8)
    return Clip(frames, None, float(steps))


def test_the_map_is_that_of_torchvision(published: nn.Module) -> None:
    """The whole way, by torchvision's own preprocessing of a frame that needs no scaling."""
    own = clip(1, 2)
    assert own.frames is not None
    transforms = torchvision.models.VGG19_Weights.IMAGENET1K_V1.transforms()
    frames = torch.from_numpy(own.frames[0]).permute(0, 3, 1, 2)  # [2, 3, 256, 300]
    with torch.inference_mode():
        maps = published.features(transforms(frames))  # [2, 512, 7, 7]
    backbone = VGG19({n: x for n, x in published.state_dict().items() if n.startswith("features")})
    (features,) = backbone.extract([backbone.preprocess(own)])
    assert features.shape == (1, 7, 7, 512) == (1, *backbone.feature_shape)
    expected = maps.mean(0).permute(1, 2, 0)
    assert expected.std() > 0.1  # far above the tolerance
    torch.testing.assert_close(features[0], expected, rtol=1e-4, atol=1e-4)


def test_it_has_all_of_torchvisions_convolutions(published: nn.Module) -> None:
    names = {n for n, _ in published.named_parameters() if n.startswith("features")}
    network = VGG19(vgg19_weights(narrower=16)).network
    assert {f"features.{n}" for n, _ in network.named_parameters()} == names
    assert len(names) == 32


def test_a_second_is_the_mean_over_sixteen_frames(backbone: VGG19) -> None:
    item = backbone.preprocess(clip(2, backbone.frames_per_step))
    assert item.shape == (2, 16, 3, 224, 224)
    each = backbone(item[1].unsqueeze(1))
    torch.testing.assert_close(backbone(item)[1], each.mean(0))


def test_a_picture_is_looked_at_once(backbone: VGG19) -> None:
    pixels = np.repeat(clip(1, 1).frames, 16, axis=1)
    picture, video = Clip(pixels, None, None), Clip(pixels, None, 1.0)
    items = [backbone.preprocess(own) for own in (picture, video)]
    assert [len(item[0]) for item in items] == [1, 16]
    one, many = backbone.extract(items)
    torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-4)


def test_the_environment_names_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRCID_VGG19", raising=False)
    with pytest.raises(ConfigError, match=r"SRCID_VGG19 to the path of torchvision's .*VGG19"):
        build_backbone("vgg19")
    monkeypatch.setenv("SRCID_VGG19", str(tmp_path / "absent.pth"))
    with pytest.raises(ConfigError, match=r"absent\.pth', where nothing is"):
        build_backbone("vgg19")
    torch.save(vgg19_weights(narrower=16), tmp_path / "vgg19.pth")
    save_file(vgg19_weights(narrower=16), tmp_path / "vgg19.safetensors")
    for name in ("vgg19.pth", "vgg19.safetensors"):
        monkeypatch.setenv("SRCID_VGG19", str(tmp_path / name))
        assert build_backbone("vgg19").feature_shape == (7, 7, 32)


@pytest.mark.parametrize("model", ["vgg16", "vgg19_bn", "alexnet"])
def test_weights_of_another_network_are_refused(model: str) -> None:
    with torch.device("meta"):
        weights = getattr(torchvision.models, model)(weights=None).state_dict()
    with pytest.raises(CheckpointError, match=r"of 16 convolutions .*, \.\.\."):
        VGG19(weights)


def test_a_convolution_that_is_none_is_refused() -> None:
    weights = vgg19_weights(narrower=16)
    weights["features.5.weight"] = torch.ones(8)
    with pytest.raises(CheckpointError, match=r"1 of another shape: 5\.weight\)"):
        VGG19(weights)


def test_a_file_of_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vgg19.pth"
    monkeypatch.setenv("SRCID_VGG19", str(path))
    path.write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="not a readable file of weights"):
        build_backbone("vgg19")
    torch.save({"epoch": 3}, path)
    with pytest.raises(CheckpointError, match="holds no state dict"):
        build_backbone("vgg19")


def test_a_pickle_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"features.0.weight": Malicious()}, tmp_path / "vgg19.pth")
    monkeypatch.setenv("SRCID_VGG19", str(tmp_path / "vgg19.pth"))
    with pytest.raises(CheckpointError, match="not a readable file of weights"):
        build_backbone("vgg19")
    assert not (tmp_path / "ran").exists()
