"""The corpus of ``srcid demo``: media that any Debian machine can fetch, or drawings."""
