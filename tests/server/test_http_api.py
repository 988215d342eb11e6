"""A machine's own HTTP API: webhooks come in, answers of its own go out, and nothing gets past its authorisers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from perdure.durable.records import Address
from perdure.errors import MachineCodeError
from tests.server.captured_log import captured_log
from tests.server.world import ORG, OTHER_ORG, World, problem

TILL = (Path(__file__).parent / "http_api_machine.py").read_text(encoding="utf-8")
BASE = f"/http-api/{ORG}/machines/till"
ONE = Address(ORG, "till", "one")


@pytest.fixture
async def caller(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a token; the machine is deployed."""
    await world.runtime.create_machine(ORG, "till")
    await world.runtime.deploy(ORG, "till", TILL, file_name="till.py")
    async with world.bare_client() as client:
        yield client


async def test_a_webhook_creates_the_instance_and_is_answered_by_the_mapper(
    caller: httpx.AsyncClient, world: World
) -> None:
    answer = await caller.post(f"{BASE}/pay", json={"amount": 5})

    assert answer.status_code == 202
    assert answer.headers["x-till"] == "one"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["state"] == "open"
    assert answer.json()["context"] == {"public": {}, "total": 5, "seen": None, "opened_by": "a webhook"}
    assert answer.json()["result"] is None
    journal = await world.store.journal(ONE, cursor=None, limit=9)
    assert [entry.event["type"] for entry in journal.rows] == ["xstate.init", "PAID"]


async def test_the_result_is_the_output_of_the_final_state(caller: httpx.AsyncClient) -> None:
    await caller.post(f"{BASE}/pay", json={"amount": 5})

    assert (await caller.post(f"{BASE}/close")).json()["result"] == {"total": 5}


async def test_an_instance_that_is_missing_is_not_found_without_an_initial_context(
    caller: httpx.AsyncClient, world: World
) -> None:
    assert problem(await caller.post(f"{BASE}/close")) == (404, "not-found")
    assert await world.store.load(ONE) is None


async def test_webhooks_that_race_to_create_are_all_counted(caller: httpx.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(*(caller.post(f"{BASE}/pay", json={"amount": 1}) for _ in range(8)))

    assert [answer.status_code for answer in answers] == [202] * 8
    assert (await world.runtime.inspect(ONE)).snapshot.context["total"] == 8


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (
            {"method": "PUT", "json": {"a": [1]}},
            {"method": "PUT", "kind": "application/json", "body": {"a": [1]}, "bytes": 9},
        ),
        (
            {"method": "POST", "data": {"a": "1", "b": ""}},
            {"method": "POST", "kind": "application/x-www-form-urlencoded", "body": {"a": "1", "b": ""}, "bytes": 6},
        ),
        (
            {"method": "POST", "content": "é".encode(), "headers": {"content-type": "text/plain"}},
            {"method": "POST", "kind": "text/plain", "body": "é", "bytes": 2},
        ),
        ({"method": "GET"}, {"method": "GET", "kind": None, "body": None, "bytes": 0}),
        ({"method": "PATCH"}, {"method": "PATCH", "kind": None, "body": None, "bytes": 0}),
        (
            {"method": "POST", "content": b"[1]", "headers": {"content-type": "application/vnd.x+json; charset=utf-8"}},
            {"method": "POST", "kind": "application/vnd.x+json; charset=utf-8", "body": [1], "bytes": 3},
        ),
    ],
    ids=lambda value: value.get("method") if "kind" not in value else "",
)
async def test_a_handler_sees_method_headers_query_and_body(
    caller: httpx.AsyncClient, options: dict[str, Any], seen: dict[str, Any]
) -> None:
    await caller.post(f"{BASE}/pay", json={"amount": 1})
    headers = [*options.pop("headers", {}).items(), ("X-Twice", "a"), ("X-Twice", "b")]
    answer = await caller.request(url=f"{BASE}/look?q=1&q=2&e=", headers=headers, **options)

    assert answer.json() == {**seen, "twice": "a, b", "query": {"q": "1", "e": ""}}


@pytest.mark.parametrize("slug", ["refuse", "babble"])
async def test_a_handler_that_fails_refuses_without_saying_why_and_nothing_happens(
    caller: httpx.AsyncClient, world: World, slug: str
) -> None:
    answer = await caller.post(f"{BASE}/{slug}", json={})

    assert problem(answer) == (400, "http-handler-failed")
    assert "signature" not in answer.text
    assert await world.store.load(ONE) is None


async def test_the_authorizer_decides_with_what_the_handler_says(caller: httpx.AsyncClient, world: World) -> None:
    await caller.post(f"{BASE}/pay", json={"amount": 1})

    assert problem(await caller.post(f"{BASE}/forge")) == (403, "rejected-by-machine-authorizer")
    assert not (await world.runtime.inspect(ONE)).snapshot.is_done


@pytest.mark.parametrize("slug", ["quiet", "explode", "odd-status", "odd-header"])
async def test_without_a_mapper_and_with_a_broken_one_the_answer_is_ok(
    caller: httpx.AsyncClient, world: World, slug: str
) -> None:
    answer = await caller.post(f"{BASE}/{slug}", json={"amount": 3})

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert "set-cookie" not in answer.headers
    assert (await world.runtime.inspect(ONE)).snapshot.context["total"] == 3


async def test_text_is_sent_as_it_is_and_never_guessed_at(caller: httpx.AsyncClient) -> None:
    answer = await caller.post(f"{BASE}/text", json={"amount": 3})

    assert (answer.text, answer.headers["content-type"]) == ("<b>paid</b>", "text/html")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_answer_may_have_no_body(caller: httpx.AsyncClient) -> None:
    answer = await caller.post(f"{BASE}/empty", json={"amount": 3})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_headers_that_frame_the_answer_are_not_the_machines_to_set(caller: httpx.AsyncClient) -> None:
    answer = await caller.post(f"{BASE}/pay", json={"amount": 1})

    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        (f"{BASE}/unknown", (404, "not-found")),
        (f"/http-api/{ORG}/machines/light/pay", (404, "not-found")),
        (f"/http-api/{ORG}/machines/none/pay", (404, "not-found")),
        (f"/http-api/{OTHER_ORG}/machines/till/pay", (404, "not-found")),
        (f"/http-api/{ORG}/machines/t%20l/pay", (400, "invalid-parameter")),
        (f"{BASE}/p%2e%2e", (400, "invalid-parameter")),
    ],
)
async def test_what_is_not_there_is_not_found(caller: httpx.AsyncClient, path: str, refusal: tuple[int, str]) -> None:
    assert problem(await caller.post(path, json={"amount": 1})) == refusal


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff", "text/plain"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_refused(caller: httpx.AsyncClient, content: bytes, kind: str) -> None:
    answer = await caller.post(f"{BASE}/look", content=content, headers={"content-type": kind})

    assert problem(answer) == (400, "invalid-parameter")


async def test_a_body_beyond_its_limit_is_refused(caller: httpx.AsyncClient, world: World) -> None:
    answer = await caller.post(f"{BASE}/look", content=b"x" * (world.settings.body_bytes_max + 1))

    assert problem(answer) == (413, "body-too-large")


async def test_a_preflight_is_answered_for_browsers_and_not_by_the_machine(caller: httpx.AsyncClient) -> None:
    assert (await caller.options(f"{BASE}/look")).status_code == 204


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("http_api = []", "must be a dict"),
        ("http_api = {'a b': {'handler': len}}", "cannot be a slug"),
        ("http_api = {1: {'handler': len}}", "cannot be a slug"),
        ("http_api = {'a': len}", "must have a handler"),
        ("http_api = {'a': {'response_mapper': len}}", "must have a handler"),
        ("http_api = {'a': {'handler': len, 'mapper': len}}", "must have a handler"),
        ("http_api = {'a': {'handler': 1}}", "must be a plain function"),
        ("async def f(r): ...\nhttp_api = {'a': {'handler': f}}", "must be a plain function"),
    ],
)
async def test_an_unfit_http_api_is_refused_when_it_is_deployed(world: World, code: str, complaint: str) -> None:
    with pytest.raises(MachineCodeError, match=complaint):
        await world.runtime.deploy(ORG, "light", f"{TILL}\n{code}\n", file_name="till.py")


async def test_the_log_says_why_a_handler_failed(
    caller: httpx.AsyncClient,
) -> None:
    with captured_log() as lines:
        await caller.post(f"{BASE}/refuse", json={})

    (line,) = lines
    assert (line["event"], line["slug"], line["exc_info"]) == ("http handler raised", "refuse", True)
