"""``python -m app`` is ``srcid``."""

from app.cli.main import main

if __name__ == "__main__":  # not in the processes that it starts
    main()
