"""Randomness, as an argument.

``Entropy`` is the only source of fresh names, ids and secrets; ``SystemEntropy`` is the only class that asks the
operating system for them. A test passes its own and gets the same ids in every run.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Protocol

__all__ = ["Entropy", "SystemEntropy", "prefixed_id"]


class Entropy(Protocol):
    """Where fresh ids and secrets come from."""

    def uuid(self) -> uuid.UUID:
        """A UUID that nobody has seen before."""
        ...

    def secret(self) -> str:
        """At least 32 bytes of unguessable randomness as URL-safe text."""
        ...


class SystemEntropy:
    """The operating system's random numbers."""

    def uuid(self) -> uuid.UUID:
        return uuid.uuid4()

    def secret(self) -> str:
        return secrets.token_urlsafe(32)


def prefixed_id(prefix: str, value: uuid.UUID) -> str:
    """``ver_FsrMf_baSJG53SBNSUszzw``: a prefix and the UUID's 16 bytes as unpadded base64url, 22 characters."""
    return f"{prefix}_{base64.urlsafe_b64encode(value.bytes).rstrip(b'=').decode()}"
