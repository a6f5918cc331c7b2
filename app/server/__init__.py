"""The server process: start-up, shutdown, workers."""
