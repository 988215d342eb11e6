"""Requests and answers as plain values: what the two faces of the client share.

An **operation** is a generator: it yields a ``Request``, is sent the ``Response``, and returns what the caller asked
for. It does no I/O, so the asynchronous and the synchronous client drive the same ones, and a test needs no server to
check what would be sent. An answer that is no success becomes the ``perdure.errors`` class of its code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from perdure import errors
from perdure.json_value import encode_json
from perdure.wire import Problem

__all__ = [
    "Operation",
    "Request",
    "Response",
    "Upload",
    "ask",
    "error_for",
    "error_of",
    "follow",
    "tell",
]

T = TypeVar("T")
Item = TypeVar("Item")


class _Page(Protocol):
    """Some items of a list, and where the next ones start."""

    @property
    def cursor(self) -> str | None: ...


AnyPage = TypeVar("AnyPage", bound=_Page)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart form: text fields in their order, then one file."""

    fields: Mapping[str, str]
    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    """Below the server's URL; of an upload the whole URL, which gets no token."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    form: Mapping[str, str] | None = None
    """Instead of ``body``: a form, which goes out without a token, since it is how one is got."""
    upload: Upload | None = None
    is_keyed: bool = False
    """Goes out with an idempotency key, so that the server applies it once however often it comes."""
    idempotency_key: str | None = None
    """The caller's own key, where there is one."""

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows if it has arrived."""
        return self.is_keyed or self.method in ("GET", "PUT", "DELETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes
    attempt: int = 1
    """How many times the request was sent to get it."""
    retry_after: float | None = None
    """Milliseconds that the server asks to be left alone."""


Operation: TypeAlias = Generator[Request, Response, T]


def ask(
    method: str,
    path: str,
    answer: type[T],
    *,
    body: msgspec.Struct | None = None,
    query: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    is_keyed: bool = False,
    idempotency_key: str | None = None,
) -> Operation[T]:
    """One request whose answer is JSON of type ``answer``. Raises ``InvalidParameter`` for a key no header takes."""
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise errors.InvalidParameter(
            "an idempotency key has 1 to 255 printable ASCII characters and no blank", "idempotency-key"
        )
    response = yield Request(
        method=method,
        path=path,
        query=query or {},
        body=None if body is None else encode_json(body),
        form=form,
        is_keyed=is_keyed,
        idempotency_key=idempotency_key,
    )
    if response.status != 200:
        raise error_of(response)
    try:
        return msgspec.json.decode(response.body, type=answer)
    except msgspec.DecodeError as error:
        raise errors.UnexpectedAnswer(
            f"{method} {path} was answered with something else than expected: {error}. "
            "Is this the URL of a perdure server, and of this release?",
            status=response.status,
        ) from error


def tell(
    method: str, path: str, *, body: msgspec.Struct | None = None, upload: Upload | None = None
) -> Operation[None]:
    """One request whose answer says no more than that it worked."""
    response = yield Request(method=method, path=path, body=None if body is None else encode_json(body), upload=upload)
    if method == "DELETE" and response.status == 404 and response.attempt > 1:
        return  # the answer to an earlier attempt got lost, and it is gone
    if not 200 <= response.status < 300:
        raise error_of(response)


def follow(
    path: str,
    page_type: type[AnyPage],
    items: Callable[[AnyPage], list[Item]],
    limit: int | None,
    parameters: Mapping[str, str] | None = None,
) -> Operation[list[Item]]:
    """The items of a list, page by page, until ``limit`` of them are there or to the end."""
    found: list[Item] = []
    query = dict(parameters or {})
    while True:
        page = yield from ask("GET", path, page_type, query=query)
        found.extend(items(page))
        if not page.cursor or (limit is not None and len(found) >= limit):
            return found[:limit]
        query = {**query, "cursor": page.cursor}


def error_of(response: Response) -> errors.PerdureError:
    """The error that an answer stands for, with the server's own message."""
    try:
        problem = msgspec.json.decode(response.body, type=Problem)
    except msgspec.DecodeError:
        # Not one of ours: a proxy's page, or something that is no perdure server at all.
        return error_for(response.status, "", f"the server answered {response.status} without saying why")
    match problem.code:
        case errors.InvalidParameter.code:
            return errors.InvalidParameter(problem.error, problem.parameter)
        case errors.MachineConfigError.code if problem.defects:
            return errors.MachineConfigError(
                [errors.ConfigDefect(defect.path, defect.message, defect.suggestion) for defect in problem.defects]
            )
        case errors.MachineCodeError.code if problem.file:
            place = f"{problem.file}: " if problem.line is None else f"{problem.file}:{problem.line}: "
            reason = problem.error.removeprefix(place)
            return errors.MachineCodeError(reason, file=problem.file, line=problem.line)
        case code:
            return error_for(response.status, code, problem.error)


def error_for(status: int, code: str, message: str) -> errors.PerdureError:
    """The error of a code, or where a code is unknown, of a status."""
    error_class = _OF_CODE.get(code) or _OF_STATUS.get(status)
    if error_class is None:
        return errors.UnexpectedAnswer(f"{message} (status {status}, code {code or 'absent'})", status=status)
    return error_class(message)


def _by_code() -> dict[str, type[errors.PerdureError]]:
    """Every error of the server whose message is all there is to it. Of classes that share a code the general one."""
    found: dict[str, type[errors.PerdureError]] = {}
    for candidate in vars(errors).values():
        if (
            isinstance(candidate, type)
            and issubclass(candidate, errors.PerdureError)
            and candidate is not errors.MachineConfigError
            and _takes_a_message_alone(candidate)
            and not issubclass(candidate, found.get(candidate.code, ()))
        ):
            found[candidate.code] = candidate
    return found


def _takes_a_message_alone(error_class: type[errors.PerdureError]) -> bool:
    try:
        error_class("message")
    except TypeError:
        return False
    return True


_OF_CODE = _by_code()

_OF_STATUS: dict[int, type[errors.PerdureError]] = {
    401: errors.InvalidToken,
    404: errors.NotFound,
    409: errors.InvalidState,
}
