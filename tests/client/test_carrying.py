"""When a request is sent again, and with what: the test takes the steps, and no network is there."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar

import jwt
import pytest

from perdure.client import operations
from perdure.client.carrying import Carrier, Failure, Outgoing, Pause, Retries
from perdure.client.credentials import Anonymous, Ask, Credentials, TokenExchange, TokenSource, expiry_of
from perdure.client.exchange import Operation, Request, Response, tell
from perdure.clock import Clock
from perdure.entropy import SystemEntropy
from perdure.errors import InvalidParameter, InvalidToken, NotFound, ServerUnreachable
from perdure.json_value import Json
from perdure.tokens import sign_token
from tests.client.script import EMPTY, answer, problem

T = TypeVar("T")

STATE: Json = {"ts": 1, "state": "open", "tags": [], "done": False}
UNSENT = Failure(ServerUnreachable("nobody there"), was_sent=False)
LOST = Failure(ServerUnreachable("hung up"), was_sent=True)


class Still:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.milliseconds = 1_000_000.0

    def now(self) -> float:
        return self.milliseconds

    async def sleep(self, milliseconds: float) -> None:
        await asyncio.sleep(0)


def carrier(token: TokenSource = None, *, clock: Clock | None = None, org: str | None = None) -> Carrier:
    return Carrier(Credentials(token, clock or Still()), SystemEntropy(), Retries(), org=org)


def take(steps: Generator[Any, Any, T], *answers: Response | Failure | str) -> tuple[list[Any], T]:
    """Take an operation's steps; each that sends or asks gets the next answer. All steps, and what came of them."""
    taken: list[Any] = []
    left = list(answers)
    reply: Any = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as end:
            assert not left, f"it ended with {len(left)} answers left"
            return taken, end.value
        taken.append(step)
        reply = None if isinstance(step, Pause) else left.pop(0)


def kinds(steps: list[Any]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_a_request_that_reached_nobody_is_sent_again_whatever_it_is() -> None:
    steps, _ = take(carrier().carry(operations.create_machine("door")), UNSENT, UNSENT, EMPTY)
    assert kinds(steps) == ["Outgoing", "Pause", "Outgoing", "Pause", "Outgoing"]


def test_a_request_whose_answer_got_lost_is_not_sent_again_when_that_could_do_it_twice() -> None:
    with pytest.raises(ServerUnreachable, match="hung up"):
        take(carrier().carry(operations.create_machine("door")), LOST)


def test_a_request_that_only_reads_is_sent_again_when_its_answer_got_lost() -> None:
    _, state = take(carrier().carry(operations.get_instance("door", "front")), LOST, answer(STATE))
    assert state.state == "open"


def test_an_event_carries_one_idempotency_key_in_all_attempts_and_another_one_the_next_time() -> None:
    def keys() -> list[str]:
        steps, _ = take(carrier().carry(operations.send("door", "front", "OPEN")), UNSENT, answer(STATE))
        return [step.headers["idempotency-key"] for step in steps if isinstance(step, Outgoing)]

    first, second = keys(), keys()
    assert first[0] == first[1]
    assert second[0] != first[0]


@pytest.mark.parametrize("key", ["schl\u00fcssel", "a\nb"])
def test_a_key_that_no_header_takes_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(InvalidParameter, match="printable ASCII"):
        take(carrier().carry(operations.send("door", "front", "OPEN", idempotency_key=key)))


def test_reading_carries_no_idempotency_key() -> None:
    (step,), _ = take(carrier().carry(operations.get_instance("door", "front")), answer(STATE))
    assert "idempotency-key" not in step.headers


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_too_busy_is_asked_again_after_the_pause_that_it_wants(status: int) -> None:
    busy = Response(status=status, body=b"", retry_after=1_500.0)
    steps, _ = take(carrier().carry(operations.create_machine("door")), busy, EMPTY)
    assert steps[1] == Pause(1_500.0)


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_without_an_answer_is_asked_again_only_for_what_may_be_done_twice(status: int) -> None:
    gone = Response(status=status, body=b"")
    _, state = take(carrier().carry(operations.get_instance("door", "front")), gone, answer(STATE))
    assert state.state == "open"
    with pytest.raises(Exception, match=str(status)):
        take(carrier().carry(operations.create_machine("door")), gone)


def test_pauses_double_and_vary_and_the_last_failure_is_the_answer() -> None:
    steps = carrier().carry(operations.list_machines())
    taken: list[Any] = [next(steps)]
    with pytest.raises(ServerUnreachable, match="nobody there"):
        taken.extend(iter(lambda: steps.send(UNSENT if isinstance(taken[-1], Outgoing) else None), None))
    pauses = [step.milliseconds for step in taken if isinstance(step, Pause)]
    assert len(pauses) == 3
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, (100, 200, 400), strict=True))


def test_what_is_gone_when_its_deletion_is_repeated_was_deleted() -> None:
    take(carrier().carry(tell("DELETE", "/keys/k")), LOST, problem(404, "not-found"))
    with pytest.raises(NotFound):
        take(carrier().carry(tell("DELETE", "/keys/k")), problem(404, "not-found"))


# -- tokens ------------------------------------------------------------------------------------------------------------


def bearer(step: Outgoing) -> str:
    return step.headers["authorization"].removeprefix("Bearer ")


def test_a_token_function_is_asked_for_each_request() -> None:
    steps, _ = take(carrier(lambda: "").carry(twice()), "first", answer(STATE), "second", answer(STATE))
    assert kinds(steps) == ["Ask", "Outgoing", "Ask", "Outgoing"]
    assert [bearer(step) for step in steps if isinstance(step, Outgoing)] == ["first", "second"]


def twice() -> Operation[None]:
    yield Request(method="GET", path="/a")
    yield Request(method="GET", path="/b")


def test_a_refused_token_is_followed_by_a_fresh_one_once() -> None:
    refused = problem(401, "invalid-token")
    steps, _ = take(
        carrier(lambda: "").carry(operations.get_instance("door", "front")), "old", refused, "new", answer(STATE)
    )
    assert [bearer(step) for step in steps if isinstance(step, Outgoing)] == ["old", "new"]
    with pytest.raises(InvalidToken):
        take(carrier(lambda: "").carry(operations.get_instance("door", "front")), "a", refused, "b", refused)


def test_a_token_given_as_text_is_not_tried_twice() -> None:
    with pytest.raises(InvalidToken):
        take(carrier("t").carry(operations.get_instance("door", "front")), problem(401, "invalid-token"))


def signed(clock: Still, seconds: float) -> str:
    from datetime import timedelta

    return sign_token("sbk_1", "sbsec_" + "s" * 32, {}, now=clock.now(), expires_in=timedelta(seconds=seconds))


def exchanged(token: str) -> Response:
    return answer({"access_token": token, "token_type": "Bearer"})


def test_an_identity_token_is_exchanged_once_and_again_before_the_token_expires() -> None:
    clock = Still()
    source = TokenExchange(org="org_1", service="app", identity_token=lambda: "")
    carry = carrier(source, clock=clock, org="org_1").carry
    first = signed(clock, 600)
    steps, _ = take(carry(twice()), "identity", exchanged(first), answer(STATE), answer(STATE))
    assert kinds(steps) == ["Ask", "Outgoing", "Outgoing", "Outgoing"]
    exchange = steps[1]
    assert exchange.request.form["audience"] == "https://tokens.statebacked.dev/org_1/app"
    assert exchange.request.form["subject_token"] == "identity"
    assert "authorization" not in exchange.headers
    assert bearer(steps[2]) == bearer(steps[3]) == first
    clock.milliseconds += 590_000
    second = signed(clock, 600)
    steps, _ = take(carry(operations.get_instance("a", "b")), "identity", exchanged(second), answer(STATE))
    assert bearer(steps[2]) == second


def test_an_anonymous_user_needs_nobody_to_vouch_for_them() -> None:
    clock = Still()
    source = Anonymous(org="org_1", session_id="s1")
    token = signed(clock, 600)
    steps, _ = take(
        carrier(source, clock=clock).carry(operations.get_instance("a", "b")), exchanged(token), answer(STATE)
    )
    form = steps[0].request.form
    claims = jwt.decode(form["subject_token"], options={"verify_signature": False})
    assert (claims["sid"], claims["did"]) == ("s1", "s1")
    assert form["audience"] == "https://tokens.statebacked.dev/org_1/anonymous-statebacked-dev"
    assert expiry_of(form["subject_token"]) == clock.now() + 24 * 3600 * 1000
    assert bearer(steps[1]) == token


@pytest.mark.parametrize("text", ["", "a.b.c", "no dots", "a.e30.c"])
def test_a_token_that_does_not_say_when_it_expires_never_does(text: str) -> None:
    assert expiry_of(text) == float("inf")


def test_the_step_that_asks_names_the_function() -> None:
    def provider() -> str:
        return "t"

    (asked, _), _ = take(carrier(provider).carry(operations.get_instance("a", "b")), "t", answer(STATE))
    assert asked == Ask(provider)
