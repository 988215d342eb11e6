"""The requests of an application, counted by what was asked for and how it was answered.

What was asked for is the route, such as ``/machines/{machineSlug}``, and never the path, of which there are as many as
callers like to make up.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from perdure.durable.meters import Histogram

__all__ = ["Traffic"]

UNKNOWN = "unknown"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Traffic:
    """How often each route was asked for, and how long the answers took."""

    def __init__(self) -> None:
        self._routes: dict[int, str] = {}
        self.requests: dict[tuple[str, str, int], int] = {}
        """By method, route and status; 499 stands for callers that hung up before there was an answer."""
        self.milliseconds: dict[str, Histogram] = {}
        """By route."""

    def know(self, routes: Iterable[BaseRoute]) -> None:
        """Learn which endpoint serves which route."""
        for route in routes:
            if isinstance(route, Route):
                self._routes[id(route.endpoint)] = route.path

    def route_of(self, scope: Scope) -> str:
        """The route that served a request."""
        return self._routes.get(id(scope.get("endpoint")), UNKNOWN)

    def count(self, scope: Scope, status: int | None, milliseconds: float) -> None:
        """A request was answered."""
        route = self.route_of(scope)
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        key = (method, route, status if status is not None else 499)
        self.requests[key] = self.requests.get(key, 0) + 1
        if route not in self.milliseconds:
            self.milliseconds[route] = Histogram()
        self.milliseconds[route].observe(max(milliseconds, 0.0))
