"""The items in SQLite."""
