"""The store in Milvus: items shared by any number of processes (docs/operations.md)."""
