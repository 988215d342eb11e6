"""Asking a machine version's authorisers.

They are user code in the most delicate place, so everything but a clear yes is a no: a false value, anything raised
(also what would end the program), a coroutine (which would be true without having run).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from perdure.durable.definition import Definition, ReadRequest, WriteRequest
from perdure.durable.records import Address
from perdure.errors import AuthorizerRefused
from perdure.json_value import JsonObject

__all__ = ["ensure_readable", "ensure_writable", "sender_claims"]


def ensure_readable(definition: Definition, request: ReadRequest) -> None:
    """Raise ``AuthorizerRefused`` unless ``allow_read`` says yes."""
    ask(definition.allow_read, request, "allow_read", definition.machine.id)


def ensure_writable(definition: Definition, request: WriteRequest) -> None:
    """Raise ``AuthorizerRefused`` unless ``allow_write`` says yes."""
    ask(definition.allow_write, request, "allow_write", definition.machine.id)


def sender_claims(sender: Address) -> JsonObject:
    """The ``auth_context`` of a message that another instance sends."""
    return {"stateBackedSender": {"machineName": sender.machine, "machineInstanceName": sender.instance}}


def ask(authoriser: Callable[[Any], object], request: ReadRequest | WriteRequest, name: str, machine: str) -> None:
    who = f"{name} of machine {machine!r}"
    try:
        answer = authoriser(request)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise AuthorizerRefused(f"{who} raised {type(error).__name__}, which refuses") from error
    if answer is True:
        return  # nearly always, and no coroutine
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise AuthorizerRefused(f"{who} is asynchronous, which refuses; it must answer at once")
    if not answer:
        raise AuthorizerRefused(f"{who} refused")
