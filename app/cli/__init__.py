"""The commands of ``srcid``."""
