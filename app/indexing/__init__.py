"""Indexing many files: one run, background jobs, Ray."""
