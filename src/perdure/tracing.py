"""Traces: one event followed through turns, commits and messages, across instances, restarts and processes.

OpenTelemetry does the work where it is installed and where the process has configured it (an SDK with an exporter, or
``opentelemetry-instrument``); otherwise a ``Tracer`` is off and costs a look at one attribute. A trace travels as text,
W3C's ``traceparent``: in the header of a request, and in the mail that a turn sends, so that the turn which applies it
belongs to the same trace. What waits for its due time begins a trace of its own, with a link to the one it came of: a
trace that lasts for days helps nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["CURRENT", "OFF", "Span", "Tracer"]

Kind: TypeAlias = Literal["internal", "server", "consumer"]

CURRENT = "current"
"""As a parent: whatever span is the current one."""

SpanSource: TypeAlias = Callable[[str, str | None, str | None, Kind, dict[str, Any]], AbstractContextManager[Any]]


class Span:
    """A piece of work that is being traced. All methods do nothing when tracing is off."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Any = None, traceparent: str | None = None) -> None:
        self._span = span
        self.traceparent = traceparent
        """What makes other work a part of this; ``None`` when tracing is off."""

    def set(self, name: str, value: str | int | float | bool) -> None:
        """Note something about the work."""
        if self._span is not None:
            self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Now it is known what the work is."""
        if self._span is not None:
            self._span.update_name(name)


NO_SPAN = nullcontext(Span())


class Tracer:
    """Where spans come from. ``is_on`` says whether anybody wants them."""

    def __init__(self, source: SpanSource | None = None, current: Callable[[], str | None] = lambda: None) -> None:
        self._source = source
        self._current = current

    @property
    def is_on(self) -> bool:
        return self._source is not None

    @classmethod
    def of_process(cls) -> Tracer:
        """The tracer of whatever this process has configured; off when that is nothing."""
        try:
            from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider
        except ModuleNotFoundError:
            return OFF
        provider = get_tracer_provider()
        return OFF if isinstance(provider, ProxyTracerProvider) else cls.of(provider)

    @classmethod
    def of(cls, provider: TracerProvider) -> Tracer:
        """The tracer of an OpenTelemetry provider."""
        return cls(_spans_of(provider), _current_traceparent)

    def span(
        self, name: str, *, parent: str | None = CURRENT, link: str | None = None, kind: Kind = "internal", **notes: Any
    ) -> AbstractContextManager[Span]:
        """A span around a block, the current one within it.

        It is a part of ``parent``, a ``traceparent``; of nothing, when that is ``None``; of the current span, when
        nothing is said. ``link`` names work that it came of and is no part of. ``notes`` are its attributes,
        ``perdure.`` before each. An error that leaves the block is its failure.
        """
        if self._source is None:
            return NO_SPAN
        return self._source(name, parent, link, kind, {f"perdure.{key}": value for key, value in notes.items()})

    def current(self) -> str | None:
        """The ``traceparent`` of the current span, if there is one."""
        return None if self._source is None else self._current()


OFF = Tracer()


def _spans_of(provider: TracerProvider) -> SpanSource:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer = provider.get_tracer("perdure")
    propagator = TraceContextTextMapPropagator()
    kinds = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}

    @contextmanager
    def span(name: str, parent: str | None, link: str | None, kind: Kind, attributes: dict[str, Any]) -> Iterator[Span]:
        if parent == CURRENT:
            context = None
        else:
            context = Context() if parent is None else propagator.extract({"traceparent": parent})
        links = []
        if link is not None:
            links.append(Link(get_current_span(propagator.extract({"traceparent": link})).get_span_context()))
        with tracer.start_as_current_span(
            name, context=context, kind=kinds[kind], attributes=attributes, links=links
        ) as started:
            yield Span(started, _current_traceparent())

    return span


def _current_traceparent() -> str | None:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
