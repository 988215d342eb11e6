"""Actors in memory: running what the engine's effects ask for."""
