"""The application: every endpoint over one runtime, as a Starlette app.

``create_app`` decides nothing about the runtime, the store or the settings; whoever calls it does. An application that
is mounted in another one gets no lifespan events: its host starts and closes the runtime, and passes
``owns_runtime=False``. What is not registered here does not exist and is answered with 404 ``not-found``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from perdure.clock import Clock
from perdure.durable.runtime import Runtime
from perdure.entropy import Entropy
from perdure.server import (
    dead_letters,
    documents,
    health,
    http_api,
    indexes,
    instances,
    keys,
    logs,
    machines,
    metrics,
    orgs,
    providers,
    realtime,
    retention,
    token_exchange,
    upgrades,
    uploads,
    versions,
)
from perdure.server.auth import Authenticator
from perdure.server.bounded_cache import BoundedCache
from perdure.server.edge import Edge
from perdure.server.identity_tokens import IdentityTokens
from perdure.server.live import LiveConnections
from perdure.server.secrets import SecretBox
from perdure.server.services import Services
from perdure.server.settings import ServerSettings
from perdure.server.traffic import Traffic

__all__ = ["create_app"]


def create_app(
    runtime: Runtime,
    *,
    settings: ServerSettings,
    secret_box: SecretBox,
    clock: Clock,
    entropy: Entropy,
    owns_runtime: bool = True,
) -> Starlette:
    """The HTTP and WebSocket API of a runtime.

    With ``owns_runtime`` the app's lifespan starts and closes the runtime, unless it runs already. ``secret_box`` must
    open what sealed the keys of the runtime's store.
    """
    services = Services(
        runtime=runtime,
        settings=settings,
        secret_box=secret_box,
        clock=clock,
        entropy=entropy,
        authenticator=Authenticator(runtime, secret_box, clock, settings),
        identity_tokens=IdentityTokens(secret_box, clock, leeway=settings.token_leeway),
        live=LiveConnections(),
        traffic=Traffic(),
        versions=BoundedCache(settings.versions_cached_max),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if not owns_runtime or runtime.is_running:
            yield
            return
        await runtime.start()
        try:
            yield
        finally:
            await runtime.close()

    served = _routes(services)
    services.traffic.know(served)
    app = _Application(services, routes=served, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


class _Application(Starlette):
    """Starlette's application with ``Edge`` around its router, in place of the two layers that make answers of what is
    raised there. What a host adds with ``add_middleware`` is around that.
    """

    def __init__(self, services: Services, **options: Any) -> None:
        super().__init__(**options)
        self._services = services

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = Edge(self.router, self._services)
        for middleware, arguments, options in reversed(self.user_middleware):
            app = middleware(app, *arguments, **options)
        return app


def _routes(services: Services) -> list[BaseRoute]:
    """All of them, those first that are asked for most."""
    return [
        *instances.routes(services),
        *realtime.routes(services),
        *machines.routes(services),
        *versions.routes(services),
        *uploads.routes(services),
        *upgrades.routes(services),
        *indexes.routes(services),
        *http_api.routes(services),
        *token_exchange.routes(services),
        *keys.routes(services),
        *providers.routes(services),
        *orgs.routes(services),
        *documents.routes(services),
        *dead_letters.routes(services),
        *retention.routes(services),
        *logs.routes(services),
        *health.routes(services),
        *metrics.routes(services),
    ]
