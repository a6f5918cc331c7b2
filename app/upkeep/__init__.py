"""Maintenance of an index: backup, restore, verification, rewrites."""
