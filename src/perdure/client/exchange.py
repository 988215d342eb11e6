"""Requests and answers as plain values: what the two faces of the client share.

An **operation** is a generator: it yields a ``Request``, is sent the ``Response``, and returns what the caller asked
for. It does no I/O, so the asynchronous and the synchronous client drive the same ones, and a test needs no server to
check what would be sent. An answer that is no success becomes the ``perdure.errors`` class of its code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec

from perdure import errors
from perdure.json_value import encode_json
from perdure.wire import IDEMPOTENCY_HEADER, ORG_HEADER, Problem

__all__ = [
    "Operation",
    "Request",
    "Response",
    "TokenSource",
    "Upload",
    "ask",
    "error_for",
    "error_of",
    "headers_of",
    "tell",
]

T = TypeVar("T")

TokenSource: TypeAlias = str | Callable[[], str] | None
"""A token, or a function that gives a fresh one for each request; ``None`` sends no token."""


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
    upload: Upload | None = None
    idempotency_key: str | None = None
    """The server applies requests with the same key once."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether making it twice is as good as making it once."""
        return self.method == "GET" or self.idempotency_key is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes


Operation: TypeAlias = Generator[Request, Response, T]


def ask(
    method: str,
    path: str,
    answer: type[T],
    *,
    body: msgspec.Struct | None = None,
    query: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Operation[T]:
    """One request whose answer is JSON of type ``answer``."""
    response = yield Request(
        method=method,
        path=path,
        query=query or {},
        body=None if body is None else encode_json(body),
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
    if not 200 <= response.status < 300:
        raise error_of(response)


def headers_of(request: Request, token: TokenSource, org: str | None) -> dict[str, str]:
    """The headers a request goes out with."""
    if request.upload is not None:
        return {}
    headers = {"content-type": "application/json"}
    secret = token() if callable(token) else token
    if secret is not None:
        headers["authorization"] = f"Bearer {secret}"
    if org is not None:
        headers[ORG_HEADER] = org
    if request.idempotency_key is not None:
        headers[IDEMPOTENCY_HEADER] = request.idempotency_key
    return headers


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


_OF_CODE: dict[str, type[errors.PerdureError]] = {
    error_class.code: error_class
    for error_class in (
        errors.AuthorizerRefused,
        errors.ChainTooLong,
        errors.CodeUploadDisabled,
        errors.ContextTooLarge,
        errors.EventFailed,
        errors.EventTooLarge,
        errors.IdempotencyKeyReused,
        errors.InvalidState,
        errors.InvalidToken,
        errors.MailboxFull,
        errors.MicrostepLimitExceeded,
        errors.MigrationFailed,
        errors.MissingScope,
        errors.NoMigrationPath,
        errors.NotFound,
        errors.SnapshotMismatch,
        errors.StoreError,
        errors.TooMuchMail,
    )
}
"""The errors whose message is all there is to them. Of classes that share a code the general one stands here."""

_OF_STATUS: dict[int, type[errors.PerdureError]] = {
    401: errors.InvalidToken,
    404: errors.NotFound,
    409: errors.InvalidState,
}
