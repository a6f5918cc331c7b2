"""How to go on with items that were encoded with another checkpoint than the one in use."""


def old_checkpoint(fingerprint: str) -> str:
    """Return the advice to use the checkpoint of that fingerprint, by its name if it is shipped."""
    from model.checkpoint import shipped_as  # which loads torch

    name = shipped_as(fingerprint)
    if name is None:
        return "use the old checkpoint (SRCID_CHECKPOINT, --checkpoint)"
    return f"use the old checkpoint, {name} (SRCID_CHECKPOINT={name} or --checkpoint {name})"
