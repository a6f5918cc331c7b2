"""What all tests share: one torch thread, the tiny checkpoint, the founders' reference data."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.config import ModalityConfig, SRCIDConfig, StemConfig, VQConfig
from model.modality import Modality
from model.srcid import SRCID
from tests.backbone_weights import vgg19_weights, vggish_weights, write_bert
from tests.loopback_hub import LoopbackHub

torch.set_num_threads(1)  # two threads on a busy machine are many times slower
# A shell starts what runs in the background with Ctrl-C ignored, and commands would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference tensors and data, which only the founders' machines have."""
    if not SHARED.is_dir():
        pytest.skip("the founders' reference data (a folder `shared` beside the project) is absent")
    return SHARED


@pytest.fixture(scope="session")
def tiny_config() -> SRCIDConfig:
    """A whole network that fits into a unit test, on the seeded `tiny` backbones."""

    def modality(name: str, stem: StemConfig | None = None) -> ModalityConfig:
        return ModalityConfig(
            backbone=f"tiny-{name}", feature_shape=(8,), specific_dim=8, stem=stem
        )

    return SRCIDConfig(
        modalities={
            Modality.AUDIO: modality("audio"),
            Modality.VIDEO: modality("video"),
            Modality.TEXT: modality("text", StemConfig(dim=8, layers=1)),
        },
        dim=8,
        feedforward_dim=16,
        num_heads=2,
        transformer_layers=1,
        quantizer=VQConfig(codebook_size=32),
    )


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_config: SRCIDConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of that network, with seeded weights and a codebook that is in use."""
    torch.manual_seed(0)
    model = SRCID(tiny_config)
    for layer in model.stages:
        layer.quantizer.codebook.vectors.normal_()
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def paper_backbones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of random, narrow weights for the paper's backbones, which the environment names."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(vgg19_weights(narrower=16), folder / "vgg19.pth")
    torch.save(vggish_weights(narrower=16), folder / "vggish.pth")
    write_bert(folder / "bert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRCID_VGG19", str(folder / "vgg19.pth"))
        patch.setenv("SRCID_VGGISH", str(folder / "vggish.pth"))
        patch.setenv("SRCID_BERT", str(folder / "bert"))
        yield folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub on the loopback address with an empty cache, for child processes too."""
    from huggingface_hub import constants  # reads its variables when it is imported

    with LoopbackHub() as server:
        files = "{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{server.url}/{files}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield server
