"""The training side: losses, data, the loop, evaluation."""
