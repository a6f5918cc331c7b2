"""The network, its backbones and the inference path from raw media to codes."""
