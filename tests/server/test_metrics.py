"""What a server tells about itself: ``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import re

import httpx
import pytest

from perdure.durable.meters import Histogram
from perdure.durable.records import Address
from perdure.durable.runtime import Runtime, RuntimeSettings
from perdure.entropy import SystemEntropy
from perdure.hosts.in_process import InProcessHost
from perdure.server.app import create_app
from perdure.stores.memory import MemoryStore
from perdure.testing.faulty_store import Faults, with_faults
from tests.server.world import ORG, World, started_world


async def numbers(client: httpx.AsyncClient) -> dict[str, float]:
    """Every sample of the page, by its name and labels."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    found = re.findall(r"^(perdure_\S+) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("scopes", [("state.read",), ("machines.read",)])
async def test_metrics_are_not_for_everybody(world: World, scopes: tuple[str, ...]) -> None:
    async with world.bare_client() as nobody:
        assert (await nobody.get("/metrics")).status_code == 401
    async with await world.client(*scopes) as poor:
        assert (await poor.get("/metrics")).status_code == 403
    async with await world.client("analytics.read") as reader:
        assert "perdure_mail_pending" in await numbers(reader)


async def test_metrics_are_for_everybody_where_the_server_says_so() -> None:
    async with started_world(open_metrics=True) as world, world.bare_client() as nobody:
        assert "perdure_mail_pending" in await numbers(nobody)


async def test_turns_are_counted_by_how_they_ended(world: World, client: httpx.AsyncClient) -> None:
    address = await world.create_light()
    before = await numbers(client)
    await world.runtime.send(address, "toggle")
    await world.runtime.set_status(address, "paused")
    assert (await client.post("/machines/light/i/hall/events", json={"event": "toggle"})).status_code == 409
    after = await numbers(client)
    assert after['perdure_turns_total{outcome="committed"}'] - before['perdure_turns_total{outcome="committed"}'] == 2
    assert after['perdure_turns_total{outcome="refused"}'] - before['perdure_turns_total{outcome="refused"}'] == 1
    assert after["perdure_commit_seconds_count"] - before["perdure_commit_seconds_count"] == 2
    assert after["perdure_turn_seconds_count"] - before["perdure_turn_seconds_count"] == 2


async def test_requests_are_counted_by_route_and_status_and_never_by_path(
    world: World, client: httpx.AsyncClient
) -> None:
    await world.create_light()
    await client.get("/machines/light/i/hall")
    await client.get("/machines/light/i/nobody")
    await client.get("/made/up/by/somebody")
    found = await numbers(client)
    route = "/machines/{machineSlug}/i/{instanceSlug}"
    assert found[f'perdure_http_requests_total{{method="GET",route="{route}",status="200"}}'] == 1
    assert found[f'perdure_http_requests_total{{method="GET",route="{route}",status="404"}}'] == 1
    assert found['perdure_http_requests_total{method="GET",route="unknown",status="404"}'] == 1
    assert found[f'perdure_http_request_seconds_count{{route="{route}"}}'] == 2
    assert not any("somebody" in name for name in found)


TIMED = """
from perdure import create_machine

machine = create_machine({"id": "timed", "initial": "a", "states": {"a": {"after": {"1000": "b"}}, "b": {}}})


def allow_read(request):
    return True


def allow_write(request):
    return True
"""


async def test_timers_are_counted_while_they_wait_and_by_how_late_they_were(
    world: World, client: httpx.AsyncClient
) -> None:
    await world.runtime.create_machine(ORG, "timed")
    await world.runtime.deploy(ORG, "timed", TIMED, file_name="timed.py")
    await world.runtime.create_instance(Address(ORG, "timed", "one"))
    waiting = await numbers(client)
    assert (waiting["perdure_mail_pending"], waiting["perdure_mail_due"]) == (1, 0)
    await world.clock.advance(1_000)
    await world.runtime.idle()
    done = await numbers(client)
    assert (done["perdure_mail_pending"], done["perdure_timer_lateness_seconds_count"]) == (0, 1)


async def test_subscriptions_and_residents_are_counted_while_they_are_there(
    world: World, client: httpx.AsyncClient
) -> None:
    address = await world.create_light()
    subscription = await world.runtime.subscribe(address)
    assert (await numbers(client))["perdure_subscriptions"] == 1
    await subscription.close()
    await world.runtime.idle()
    found = await numbers(client)
    assert (found["perdure_subscriptions"], found["perdure_resident_instances"]) == (0, 0)


def test_a_histogram_counts_each_value_in_the_bucket_that_it_does_not_exceed() -> None:
    histogram = Histogram((1.0, 10.0))
    for value in (0.5, 1.0, 1.5, 10.0, 11.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.total, histogram.count) == ([2, 2, 1], 24.0, 5)


# -- health ------------------------------------------------------------------------------------------------------------


async def test_a_server_that_serves_and_delivers_is_healthy_and_ready(world: World) -> None:
    async with world.bare_client() as nobody:
        assert (await nobody.get("/healthz")).json() == {"status": "ok"}
        ready = await nobody.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


async def test_a_server_whose_store_fails_is_healthy_and_not_ready(world: World) -> None:
    faults = Faults()
    runtime = Runtime(
        with_faults(MemoryStore(), faults),
        InProcessHost(),
        clock=world.clock,
        entropy=SystemEntropy(),
        settings=RuntimeSettings(closing_grace=0),
    )
    app = create_app(
        runtime,
        settings=world.settings,
        secret_box=world.secret_box,
        clock=world.clock,
        entropy=world.entropy,
        owns_runtime=False,
    )
    async with world.bare_client(app) as nobody:
        assert (await nobody.get("/readyz")).json()["checks"] == {"store": "ok", "delivery": "failed"}
        async with runtime:
            assert (await nobody.get("/readyz")).status_code == 200
            faults.crash()
            answer = await nobody.get("/readyz")
            assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "failed")
            assert (await nobody.get("/healthz")).status_code == 200
