"""What keeps an index well: backup, restore, verification, another checkpoint."""
