"""Actors in memory: running what the engine's effects ask for.

``interpret(machine)`` makes a running actor, the root of a system. The same actors serve durable instances for their
ephemeral children. Start reading at ``system``, which says what may be relied on; then ``machine_actor``.
"""
