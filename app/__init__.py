"""The serving side: HTTP service, search index, command line."""
