"""Search over the codes, in memory."""
