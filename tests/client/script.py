"""Driving an operation by hand: the test plays the server."""

from __future__ import annotations

from typing import TypeVar

from perdure.client.exchange import Operation, Request, Response
from perdure.json_value import Json, encode_json

T = TypeVar("T")


def play(operation: Operation[T], *answers: Response) -> tuple[list[Request], T]:
    """The requests that an operation makes when it gets these answers, and what it returns.

    Fails when it ends before the last answer, or wants another one.
    """
    requests: list[Request] = []
    left = list(answers)
    try:
        requests.append(next(operation))
        while True:
            assert left, f"the operation makes a request more than expected: {requests[-1]}"
            requests.append(operation.send(left.pop(0)))
    except StopIteration as end:
        assert not left, f"the operation ended with {len(left)} answers left"
        return requests, end.value


def answer(value: Json, status: int = 200) -> Response:
    return Response(status=status, body=encode_json(value))


def problem(status: int, code: str, message: str = "no", **more: Json) -> Response:
    return answer({"code": code, "error": message, **more}, status)


EMPTY = Response(status=204, body=b"")
