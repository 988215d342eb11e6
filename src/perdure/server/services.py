"""What every endpoint of one application shares."""

from __future__ import annotations

from dataclasses import dataclass

from perdure import wire
from perdure.clock import Clock
from perdure.durable.runtime import Runtime
from perdure.entropy import Entropy
from perdure.server.auth import Authenticator
from perdure.server.bounded_cache import BoundedCache
from perdure.server.identity_tokens import IdentityTokens
from perdure.server.live import LiveConnections
from perdure.server.secrets import SecretBox
from perdure.server.settings import ServerSettings
from perdure.server.traffic import Traffic

__all__ = ["Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one application, made once in ``create_app``."""

    runtime: Runtime
    settings: ServerSettings
    secret_box: SecretBox
    clock: Clock
    entropy: Entropy
    authenticator: Authenticator
    identity_tokens: IdentityTokens
    live: LiveConnections
    traffic: Traffic
    versions: BoundedCache[str, wire.Version]
    """Versions are immutable, so what is known of one stays true."""
