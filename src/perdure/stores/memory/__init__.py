"""The reference store: everything in dictionaries, gone with the process."""

from perdure.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
