"""Composed scenes: clips of several events, made from a bank, with what happens each second."""
