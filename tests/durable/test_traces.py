"""Traces: one event followed through turns, commits, effects and messages to other instances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import perdure
from perdure import Address, Definition
from perdure.bootstrap import DEFAULT_ORG, ensure_default_org
from perdure.durable.runtime import Runtime, RuntimeSettings
from perdure.hosts.in_process import InProcessHost
from perdure.server.app import create_app
from perdure.server.secrets import SecretBox, new_key
from perdure.server.settings import ServerSettings
from perdure.stores.sqlite import SqliteStore
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock
from perdure.tokens import SCOPES, sign_token
from perdure.tracing import OFF, Tracer

RECEIVER = perdure.instance_reference("receiver", "r")

SENDER_MACHINE = perdure.create_machine(
    {
        "id": "sender",
        "initial": "idle",
        "states": {
            "idle": {
                "on": {
                    "TELL": {"actions": [perdure.send_to(RECEIVER, "HELLO"), "note"]},
                    "WAIT": {"actions": perdure.send("LATER", delay=60_000)},
                    "FAIL": {"cond": "fails", "target": "idle"},
                }
            }
        },
    },
    actions={"note": lambda: None},
    guards={"fails": lambda: 1 / 0},
)
RECEIVER_MACHINE = perdure.create_machine(
    {"id": "receiver", "initial": "idle", "states": {"idle": {"on": {"HELLO": "greeted"}}, "greeted": {}}}
)


class World:
    """A runtime over a file whose traces end in the memory of the test."""

    def __init__(self, path: Path) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.clock = SimulatedClock(1_700_000_000_000.0)
        self.entropy = CountingEntropy()
        self.runtime = Runtime(
            SqliteStore(path),
            InProcessHost(),
            clock=self.clock,
            entropy=self.entropy,
            settings=RuntimeSettings(closing_grace=0),
            tracer=Tracer.of(provider),
        )

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def span(self, name: str, **notes: object) -> ReadableSpan:
        """The one span of that name and with these attributes."""
        found = [
            span
            for span in self.spans()
            if span.name == name
            and span.attributes is not None
            and all(span.attributes.get(f"perdure.{key}") == value for key, value in notes.items())
        ]
        assert len(found) == 1, f"{len(found)} spans {name} with {notes} among {[span.name for span in self.spans()]}"
        return found[0]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[World]:
    world = World(path)
    await world.runtime.store.open()
    org = await ensure_default_org(world.runtime.store, world.clock)
    for name, machine in (("sender", SENDER_MACHINE), ("receiver", RECEIVER_MACHINE)):
        definition = Definition(machine=machine, allow_read=lambda _: True, allow_write=lambda _: True)
        await world.runtime.register(org, name, definition)
    async with world.runtime:
        yield world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path / "traced.db") as world:
        await world.runtime.create_instance(address("sender", "s"))
        await world.runtime.create_instance(address("receiver", "r"))
        world.exporter.clear()
        yield world


def address(machine: str, instance: str) -> Address:
    return Address(DEFAULT_ORG, machine, instance)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    trace_id: int = span.context.trace_id
    return trace_id


async def test_an_event_is_followed_from_its_turn_to_the_turn_of_the_instance_it_tells(world: World) -> None:
    await world.runtime.send(address("sender", "s"), "TELL")
    await world.runtime.idle()
    told = world.span("turn", machine="sender", message="TELL")
    commit = next(span for span in world.spans() if span.name == "commit" and parent_of(span) == id_of(told))
    effects = next(span for span in world.spans() if span.name == "effects" and parent_of(span) == id_of(told))
    delivery = world.span("deliver", sender="sender/s")
    greeted = world.span("turn", machine="receiver", message="HELLO")
    assert parent_of(told) is None
    assert commit.attributes is not None
    assert commit.attributes["perdure.mail"] == 1
    assert effects.start_time is not None
    assert commit.end_time is not None
    assert effects.start_time >= commit.end_time
    assert parent_of(delivery) == id_of(told)
    assert parent_of(greeted) == id_of(delivery)
    assert {trace_of(span) for span in world.spans()} == {trace_of(told)}


async def test_the_trace_is_in_the_file_and_goes_on_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "traced.db"
    async with opened(path) as world:
        await world.runtime.create_instance(address("sender", "s"))
        world.exporter.clear()
        await world.runtime.send(address("sender", "s"), "TELL")
        await world.runtime.idle()  # there is no receiver, so the mail waits for another attempt
        told = world.span("turn", message="TELL")
        (mail,) = await world.runtime.store.pending_mail(address("receiver", "r"))
        assert mail.trace is not None
        assert f"{trace_of(told):032x}" in mail.trace
    async with opened(path) as later:
        await later.runtime.create_instance(address("receiver", "r"))
        await later.clock.advance(60_000)
        await later.runtime.idle()
        greeted = later.span("turn", message="HELLO")
        assert trace_of(greeted) == trace_of(told)


async def test_what_waited_for_its_time_begins_a_trace_that_links_to_where_it_came_from(world: World) -> None:
    await world.runtime.send(address("sender", "s"), "WAIT")
    waited = world.span("turn", message="WAIT")
    world.exporter.clear()
    await world.clock.advance(60_000)
    await world.runtime.idle()
    delivery = world.span("deliver")
    assert trace_of(delivery) != trace_of(waited)
    assert [link.context.span_id for link in delivery.links] == [id_of(waited)]
    assert trace_of(world.span("turn", message="LATER")) == trace_of(delivery)


async def test_a_turn_that_fails_is_a_failed_span_and_has_no_commit(world: World) -> None:
    with pytest.raises(perdure.EventFailed):
        await world.runtime.send(address("sender", "s"), "FAIL")
    assert world.span("turn", message="FAIL").status.status_code.name == "ERROR"
    assert "commit" not in [span.name for span in world.spans()]


async def test_a_request_continues_its_callers_trace_into_the_turn(world: World) -> None:
    secret_box = SecretBox(b"m" * 32, world.entropy)
    app = create_app(
        world.runtime,
        settings=ServerSettings(),
        secret_box=secret_box,
        clock=world.clock,
        entropy=world.entropy,
        owns_runtime=False,
    )
    record, pair = new_key(
        org=DEFAULT_ORG,
        name="test",
        scopes=tuple(SCOPES),
        now=world.clock.now(),
        entropy=world.entropy,
        secret_box=secret_box,
    )
    await world.runtime.store.create_key(record)
    token = sign_token(pair.id, pair.secret, {}, now=world.clock.now(), expires_in=timedelta(hours=1))
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"authorization": f"Bearer {token}", "traceparent": f"00-{trace}-{caller}-01"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://perdure.test", headers=headers) as client:
        answer = await client.post("/machines/sender/i/s/events", json={"event": "TELL"})
    assert answer.status_code == 200, answer.text
    await world.runtime.idle()
    request = world.span("POST /machines/{machineSlug}/i/{instanceSlug}/events")
    assert f"{parent_of(request):016x}" == caller
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    assert parent_of(world.span("turn", message="TELL")) == id_of(request)
    assert {f"{trace_of(span):032x}" for span in world.spans()} == {trace}


async def test_without_a_configured_provider_nothing_is_traced_and_mail_carries_nothing(tmp_path: Path) -> None:
    assert Tracer.of_process() is OFF
    async with perdure.open(f"sqlite:///{tmp_path}/plain.db", machines=[("sender", SENDER_MACHINE)]) as runtime:
        await runtime.create_instance(address("sender", "s"))
        await runtime.send(address("sender", "s"), "TELL")
        (mail,) = await runtime.store.pending_mail(address("receiver", "r"))
        assert mail.trace is None
