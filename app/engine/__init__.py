"""From an upload to codes: decodes in worker processes, encodes in supervised threads."""
