"""The inner loops of the search over codes, compiled."""
