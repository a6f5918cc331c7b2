"""How good the codes are: retrieval, and the state of the codebooks."""
