"""The service: everything that routes, commands and Python call."""
