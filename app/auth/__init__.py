"""Who may use the service: API keys and how often each may call."""
