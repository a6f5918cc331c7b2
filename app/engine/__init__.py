"""From an upload to codes: decoding bounded, the device to one thread at a time."""
