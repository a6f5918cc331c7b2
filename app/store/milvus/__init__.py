"""The store on Milvus: items shared by any number of processes (docs/operations.md)."""
