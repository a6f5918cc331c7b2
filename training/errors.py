"""What training raises beside the errors of ``model.errors``."""

from model.errors import SRCIDError


class NonFiniteLoss(SRCIDError):
    """A term of the loss is NaN or infinite."""
