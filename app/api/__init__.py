"""HTTP routes: each translates a request to one call of the service."""
