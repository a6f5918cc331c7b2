"""Tests of the image, on a real Docker engine."""
