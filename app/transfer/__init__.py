"""The whole index as a file of another tool's format, and back."""
