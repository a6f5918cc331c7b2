"""The parts of one disentangling layer."""
