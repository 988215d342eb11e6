"""``/metrics``: the numbers of a server, for Prometheus.

What turns and requests count about themselves is read here, when somebody asks: nothing of the library is on the path
of a turn. The registry is our own, so that a host application's is left alone. The numbers name machines nowhere and
tell how busy a server is, so that reading them needs the scope ``analytics.read``, unless the server says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.routing import Route

from perdure.durable.meters import Histogram
from perdure.durable.records import MailCounts
from perdure.server.answer import Answer
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]


def routes(services: Services) -> list[Route]:
    scopes = () if services.settings.open_metrics else ("analytics.read",)
    return [Route("/metrics", Resource(services, GET=Operation(report_metrics, scopes)))]


async def report_metrics(call: Call) -> Answer:
    services = call.services
    now = services.clock.now()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(services, await services.runtime.store.count_mail(now), now))
    return Answer(200, generate_latest(registry), ((b"content-type", CONTENT_TYPE_LATEST.encode()),), is_json=False)


class _Numbers(Collector):
    """All metrics of one application, as they are now."""

    def __init__(self, services: Services, mail: MailCounts, now: float) -> None:
        self._services = services
        self._mail = mail
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield from self._turns()
        yield from self._of_mail()
        yield from self._present()
        yield from self._requests()

    def _turns(self) -> Iterator[Metric]:
        meters = self._services.runtime.meters
        turns = CounterMetricFamily("perdure_turns", "Messages handled, by how that ended.", labels=["outcome"])
        for outcome, number in meters.turns.items():
            turns.add_metric([outcome], number)
        yield turns
        yield _histogram(
            "perdure_turn_seconds", "From beginning a turn to its durable commit.", meters.turn_milliseconds
        )
        yield _histogram("perdure_commit_seconds", "How long the store took for a commit.", meters.commit_milliseconds)
        yield CounterMetricFamily("perdure_commit_conflicts", "Commits computed again after a race.", meters.conflicts)

    def _of_mail(self) -> Iterator[Metric]:
        meters, mail = self._services.runtime.meters, self._mail
        yield GaugeMetricFamily("perdure_mail_pending", "Mail not applied yet, timers included.", mail.pending)
        yield GaugeMetricFamily("perdure_mail_due", "Of these, due by now.", mail.due)
        late = 0.0 if mail.oldest_due_at is None else max(self._now - mail.oldest_due_at, 0.0)
        yield GaugeMetricFamily("perdure_mail_due_seconds", "How long the oldest due timer has been due.", late / 1000)
        yield _histogram("perdure_timer_lateness_seconds", "From due to applied.", meters.timer_lateness)
        yield CounterMetricFamily("perdure_mail_failures", "Attempts at mail that failed.", meters.mail_failed)
        yield CounterMetricFamily("perdure_mail_buried", "Mail given up since the start.", meters.mail_buried)
        yield GaugeMetricFamily("perdure_dead_letters", "Dead letters in the store.", mail.dead)

    def _present(self) -> Iterator[Metric]:
        runtime = self._services.runtime
        yield GaugeMetricFamily("perdure_resident_instances", "Instances somebody needs in memory.", runtime.residents)
        yield GaugeMetricFamily("perdure_running_children", "Ephemeral children running.", runtime.running_children)
        yield GaugeMetricFamily("perdure_subscriptions", "Live views of instances.", runtime.watchers.subscriptions)
        yield GaugeMetricFamily("perdure_websockets", "Open WebSockets.", self._services.live.count)
        yield GaugeMetricFamily("perdure_mail_in_flight", "Mail given to instances.", runtime.delivery.in_flight)

    def _requests(self) -> Iterator[Metric]:
        traffic = self._services.traffic
        requests = CounterMetricFamily(
            "perdure_http_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        for (method, route, status), number in traffic.requests.items():
            requests.add_metric([method, route, str(status)], number)
        yield requests
        latency = HistogramMetricFamily("perdure_http_request_seconds", "How long answers took.", labels=["route"])
        for route, histogram in traffic.milliseconds.items():
            latency.add_metric([route], _buckets(histogram), histogram.total / 1000)
        yield latency


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, buckets=_buckets(histogram), sum_value=histogram.total / 1000)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Prometheus' buckets: the upper bound in seconds, and how many values are not above it."""
    bounds = [*(str(bound / 1000) for bound in histogram.bounds), "+Inf"]
    found: list[tuple[str, float]] = []
    total = 0
    for bound, number in zip(bounds, histogram.counts, strict=True):
        total += number
        found.append((bound, total))
    return found
