"""The HTTP routes: each translates one request into one call of the service."""
