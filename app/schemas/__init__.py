"""Requests and responses as pydantic models. Imports neither the web framework nor torch."""
