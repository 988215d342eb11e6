"""How a request is carried to the server and back: tokens, idempotency keys, and trying again.

``carry`` drives an operation and yields **steps** for a face to take: send this, wait so long, ask for a token. It does
no I/O, so both faces try again in the same way.

A request is sent again when it cannot have been applied (no connection was made; the server answers 429 or 503), and
when it may have been (the answer got lost, or a proxy answers 502 or 504) only if applying it twice is the same as
once: reading, replacing and deleting are, and creating an instance and sending an event carry an idempotency key, the
same one in every attempt.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import msgspec

from perdure.client.credentials import Ask, Credentials
from perdure.client.exchange import Operation, Request, Response
from perdure.entropy import Entropy
from perdure.errors import ServerUnreachable
from perdure.wire import IDEMPOTENCY_HEADER, ORG_HEADER

__all__ = ["Carrier", "Failure", "Outgoing", "Pause", "Retries", "Step"]

T = TypeVar("T")

NOT_APPLIED = (429, 503)
MAYBE_APPLIED = (502, 504)


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently a request is sent again. Times are milliseconds."""

    attempts: int = 4
    """How often a request is sent at most; 1 never tries again."""
    first_pause: float = 100.0
    """The pause before the second attempt; each later one is twice as long, and all are shortened by up to a half at
    random, so that many clients of one server do not come back at the same moment."""
    pause_max: float = 5_000.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A step: send this request with these headers, and go on with the ``Response`` or the ``Failure``."""

    request: Request
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pause:
    """A step: wait so many milliseconds."""

    milliseconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer came."""

    error: ServerUnreachable
    was_sent: bool
    """Whether a part of the request may have reached the server."""


Step: TypeAlias = Outgoing | Pause | Ask


class Carrier:
    """Carries operations for one client."""

    def __init__(self, credentials: Credentials, entropy: Entropy, retries: Retries, *, org: str | None) -> None:
        self._credentials = credentials
        self._entropy = entropy
        self._retries = retries
        self._org = org

    def carry(self, operation: Operation[T]) -> Generator[Step, Any, T]:
        """Drive an operation to its end."""
        try:
            request = next(operation)
            while True:
                response = yield from self._request(request)
                request = operation.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    def token(self) -> Generator[Step, Any, str | None]:
        """A token for the next connection."""
        steps = self._credentials.token()
        try:
            wanted = next(steps)
            while True:
                answer = (yield wanted) if isinstance(wanted, Ask) else (yield from self._request(wanted))
                wanted = steps.send(answer)
        except StopIteration as end:
            token: str | None = end.value
            return token

    def renew(self) -> bool:
        """The server refuses the token; whether there may be another one."""
        self._credentials.give_up()
        return self._credentials.can_renew

    def _request(self, request: Request) -> Generator[Step, Any, Response]:
        """The answer to a request; raises ``ServerUnreachable`` when there is none after the last attempt."""
        key = request.idempotency_key
        if key is None and request.is_keyed and self._retries.attempts > 1:
            key = str(self._entropy.uuid())
        needs_token = request.form is None and request.upload is None
        has_renewed = False
        attempt = 0
        while True:
            token = (yield from self.token()) if needs_token else None
            attempt += 1
            answer: Response | Failure = yield Outgoing(request, self._headers(request, token, key))
            if isinstance(answer, Response):
                answer = replace(answer, attempt=attempt)
            if isinstance(answer, Response) and answer.status == 401 and needs_token and not has_renewed:
                has_renewed = True
                attempt -= 1
                if self.renew():
                    continue
            if attempt >= self._retries.attempts or not is_worth_repeating(request, answer):
                if isinstance(answer, Failure):
                    raise answer.error
                return answer
            yield Pause(self._pause(attempt, answer))

    def _headers(self, request: Request, token: str | None, key: str | None) -> dict[str, str]:
        if request.upload is not None:
            return {}
        headers = {} if request.form is not None else {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if self._org is not None:
            headers[ORG_HEADER] = self._org
        if key is not None:
            headers[IDEMPOTENCY_HEADER] = key
        return headers

    def _pause(self, attempt: int, answer: Response | Failure) -> float:
        if isinstance(answer, Response) and answer.retry_after is not None:
            return min(answer.retry_after, self._retries.pause_max)
        longest = min(self._retries.pause_max, self._retries.first_pause * 2.0 ** (attempt - 1))
        return longest * (1 - self._entropy.uuid().int % 1000 / 2000)


def is_worth_repeating(request: Request, answer: Response | Failure) -> bool:
    """Whether sending a request again may help and cannot hurt."""
    if isinstance(answer, Failure):
        return request.is_repeatable or not answer.was_sent
    if answer.status in NOT_APPLIED:
        return True
    return answer.status in MAYBE_APPLIED and request.is_repeatable
