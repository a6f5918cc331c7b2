"""Where items live and how they are searched."""
