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
        route, method = self.route_of(scope), scope["method"]
        key = (method if method in METHODS else UNKNOWN, route, 499 if status is None else status)
        self.requests[key] = self.requests.get(key, 0) + 1
        histogram = self.milliseconds.get(route)
        if histogram is None:
            histogram = self.milliseconds[route] = Histogram()
        histogram.observe(max(milliseconds, 0.0))
