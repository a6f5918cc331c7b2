"""What must be equal on a CPU and on a GPU; skipped where there is none."""
