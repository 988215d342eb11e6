"""Placeholder until the engine lands in this file."""


class Machine: ...
