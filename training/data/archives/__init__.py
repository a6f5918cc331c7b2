"""The published archives of features, read as they are."""
