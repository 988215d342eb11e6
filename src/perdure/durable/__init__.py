"""Durable instances: turns, commits, mail, residents, and the protocols they run over."""
