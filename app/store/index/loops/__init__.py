"""The loops of the search over codes, compiled. ``lookups`` says the same without a compiler."""
