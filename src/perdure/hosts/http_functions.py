"""Calling the functions of a machine's HTTP API, as user code that may answer anything and raise everything.

What a handler raises refuses the request, and nothing has happened. What a response mapper raises comes too late to
undo the event, so it is logged, and the caller gets the answer that there is without a mapper.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from perdure.durable.http_api import HttpAnswer, HttpApi, HttpEvent, HttpRequest, HttpResult
from perdure.errors import HttpHandlerFailed, MachineCodeError, NotFound
from perdure.json_value import json_copy
from perdure.logs import get_logger
from perdure.statechart.callables import can_take

__all__ = ["ask_handler", "ask_response_mapper", "http_api_of"]

T = TypeVar("T")

logger = get_logger("perdure.machine")

_SLUG_CHARACTERS_MAX = 128
_EXAMPLE = 'http_api = {"slug": {"handler": a_function, "response_mapper": a_function}}'


def http_api_of(exported: Any, file_name: str) -> dict[str, HttpApi]:
    """What a module exports as ``http_api``, checked. Raises ``MachineCodeError``."""
    if exported is None:
        return {}
    if not isinstance(exported, Mapping):
        raise MachineCodeError(f"http_api must be a dict: {_EXAMPLE}", file=file_name)
    return {_slug(slug, file_name): _http_api(slug, entry, file_name) for slug, entry in exported.items()}


def _slug(slug: Any, file_name: str) -> str:
    name = slug.replace("-", "").replace("_", "") if isinstance(slug, str) else ""
    if not (name.isascii() and name.isalnum() and len(slug) <= _SLUG_CHARACTERS_MAX):
        raise MachineCodeError(
            f"{slug!r} cannot be a slug of http_api: use letters, digits, `_` and `-`, at most 128 of them",
            file=file_name,
        )
    text: str = slug
    return text


def _http_api(slug: Any, entry: Any, file_name: str) -> HttpApi:
    if isinstance(entry, HttpApi):
        entry = {"handler": entry.handler, "response_mapper": entry.response_mapper}
    if not isinstance(entry, Mapping) or "handler" not in entry or entry.keys() - {"handler", "response_mapper"}:
        raise MachineCodeError(f"http_api[{slug!r}] must have a handler: {_EXAMPLE}", file=file_name)
    for name, function in entry.items():
        is_absent = name == "response_mapper" and function is None
        if not is_absent and (not callable(function) or inspect.iscoroutinefunction(function)):
            raise MachineCodeError(f"http_api[{slug!r}][{name!r}] must be a plain function", file=file_name)
        if not is_absent and not can_take(function, 1):
            given = "request" if name == "handler" else "result"
            raise MachineCodeError(f"http_api[{slug!r}][{name!r}] must be a function of one {given}", file=file_name)
    return HttpApi(handler=entry["handler"], response_mapper=entry.get("response_mapper"))


def ask_handler(http_api: Mapping[str, HttpApi], machine: str, slug: str, request: HttpRequest) -> HttpEvent:
    """What the handler makes of a request. Raises ``NotFound``, ``HttpHandlerFailed``."""
    entry = http_api.get(slug)
    if entry is None:
        raise NotFound(f"machine {machine!r} has no HTTP API {slug!r}")
    try:
        return _converted(entry.handler(request), HttpEvent)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        logger.exception("http handler raised", machine=machine, slug=slug)
        raise HttpHandlerFailed(f"the handler {slug!r} of machine {machine!r} refused the request") from error


def ask_response_mapper(
    http_api: Mapping[str, HttpApi], machine: str, slug: str, result: HttpResult
) -> HttpAnswer | None:
    """What the response mapper makes of the instance; ``None`` without one, and when it fails."""
    entry = http_api.get(slug)
    if entry is None or entry.response_mapper is None:
        return None
    copied = HttpResult(state=result.state, context=json_copy(result.context), result=json_copy(result.result))
    try:
        return _sendable(_converted(entry.response_mapper(copied), HttpAnswer))
    except KeyboardInterrupt:
        raise
    except BaseException:
        logger.exception("response mapper raised", machine=machine, slug=slug)
        return None


def _converted(value: Any, kind: type[T]) -> T:
    """What a function answered, as the type it should be. Raises ``TypeError`` and ``ValueError``."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    # Through JSON, since that is what events and contexts are kept as.
    return msgspec.convert(json_copy(value), kind)


def _sendable(answer: HttpAnswer) -> HttpAnswer:
    """The answer, if HTTP can say it. Raises ``ValueError``."""
    if not 200 <= answer.status_code <= 599:
        raise ValueError(f"{answer.status_code} is no status to answer with: use 200 to 599")
    for name, value in answer.headers.items():
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"{name!r} is no name of a header")
        value.encode("latin-1")
        if not all(character == "\t" or character.isprintable() for character in value):
            raise ValueError(f"the header {name} has characters that no header has")
    return answer
