"""``python -m app`` is ``srcid``."""

from app.cli.main import main

main()
