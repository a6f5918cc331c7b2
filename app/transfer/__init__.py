"""Export and import of the whole index."""
