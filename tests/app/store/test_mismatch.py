"""What is said of items that another checkpoint encoded."""

from pathlib import Path

import pytest

from app.errors import IndexMismatch
from app.store.mismatch import old_checkpoint
from app.store.sqlite.database import ItemDatabase
from model.checkpoint import SHIPPED, fingerprint, shipped
from tests.app.transfer.cases import make_item

ALIGNED = "685ea1f268375986"  # the default of version 1, which made the folders that people have


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_checkpoint_is_called_by_its_name(name: str) -> None:
    assert f"SRCID_CHECKPOINT={name} " in old_checkpoint(fingerprint(SHIPPED / name))


def test_of_another_only_the_setting_is_named() -> None:
    assert old_checkpoint("0" * 16) == "use the old checkpoint (SRCID_CHECKPOINT, --checkpoint)"


def test_a_folder_of_the_former_default_says_how_to_go_on(tmp_path: Path) -> None:
    """Its media may not be stored: then only the old checkpoint opens it."""
    path = tmp_path / "items.sqlite"
    former = ItemDatabase(path, fingerprint=ALIGNED, read_only=False)
    former.put_all([make_item("a")], replace=False)
    former.close()
    with pytest.raises(IndexMismatch, match=r"SRCID_CHECKPOINT=aligned .*srcid store rebuild"):
        ItemDatabase(path, fingerprint=fingerprint(SHIPPED / "default"), read_only=False)
