"""Every refusal and failure of the server, turned into an answer in one place.

An error of ``perdure.errors`` keeps its code and its message; its class decides the status. Anything else is our own
mistake or the world's: the caller learns an id, and the log has the details under that id. No traceback, and no text
of an error that was not written for callers, leaves the server.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args, get_origin

import msgspec
from starlette.exceptions import HTTPException

from perdure import errors, wire
from perdure.entropy import Entropy
from perdure.json_value import encode_json
from perdure.logs import get_logger
from perdure.server.answer import Answer, Headers

__all__ = [
    "BodyTooLarge",
    "ExchangeRefused",
    "KeySetUnavailable",
    "MethodNotAllowed",
    "OrgCreationDisabled",
    "OrgMismatch",
    "TooManyConnections",
    "TooManySubscriptions",
    "UpgradeRequired",
    "code_of",
    "invalid_body",
    "problem_answer",
    "status_of",
]

log = get_logger("perdure.server")


class MethodNotAllowed(errors.PerdureError):
    """The path exists and does not know this method. ``allowed`` lists the ones it knows."""

    code = "method-not-allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method} is not possible here, only {allowed}")
        self.allowed = allowed


class BodyTooLarge(errors.PerdureError):
    """The request's body exceeds the limit of its endpoint."""

    code = "body-too-large"


class OrgMismatch(errors.PerdureError):
    """The request names another org than the one that the token's key belongs to."""

    code = "missing-org"


class ExchangeRefused(errors.PerdureError):
    """A subject token is not exchanged: nobody vouches for it, it has expired, or there is no such service."""

    code = "token-exchange-refused"


class KeySetUnavailable(errors.PerdureError):
    """The key set of an identity provider cannot be had: it does not answer, or not with a key set."""

    code = "key-set-unavailable"


class OrgCreationDisabled(errors.PerdureError):
    """The server was not started with permission to create orgs over HTTP."""

    code = "org-creation-disabled"


class UpgradeRequired(errors.PerdureError):
    """A plain HTTP request where only a WebSocket is served."""

    code = "upgrade-required"


class TooManyConnections(errors.PerdureError):
    """This process has as many WebSockets as it may have."""

    code = "too-many-connections"


class TooManySubscriptions(errors.PerdureError):
    """The WebSocket has as many subscriptions as one may have."""

    code = "too-many-subscriptions"


_STATUS: dict[type[Exception], int] = {
    errors.InvalidParameter: 400,
    errors.MachineConfigError: 400,
    errors.MachineCodeError: 400,
    errors.HttpHandlerFailed: 400,
    errors.NoMigrationPath: 400,
    errors.InvalidToken: 401,
    errors.MissingScope: 403,
    errors.AuthorizerRefused: 403,
    errors.CodeUploadDisabled: 403,
    OrgMismatch: 403,
    ExchangeRefused: 403,
    OrgCreationDisabled: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.InvalidState: 409,
    errors.ContextTooLarge: 413,
    errors.EventTooLarge: 413,
    BodyTooLarge: 413,
    errors.EventFailed: 422,
    errors.IdempotencyKeyReused: 422,
    UpgradeRequired: 426,
    errors.MailboxFull: 429,
    TooManyConnections: 429,
    TooManySubscriptions: 429,
    KeySetUnavailable: 503,
}
"""The status of an error is that of its nearest listed ancestor; unlisted ones are 500."""

_CODES_OF_FAILURES = (errors.StoreError, errors.SnapshotMismatch, KeySetUnavailable)
"""Failures whose code says something a caller can act on, though their text is for the log."""

_INTERNAL = "internal-error"


def status_of(error: Exception) -> int:
    """The HTTP status that an error stands for."""
    if isinstance(error, HTTPException):
        return error.status_code
    for ancestor in type(error).__mro__:
        if ancestor in _STATUS:
            return _STATUS[ancestor]
    return 500


def code_of(error: Exception) -> str:
    """The code that an error has on the wire."""
    if isinstance(error, HTTPException):
        return "not-found" if error.status_code == 404 else "invalid-parameter"
    if isinstance(error, errors.PerdureError) and (status_of(error) < 500 or isinstance(error, _CODES_OF_FAILURES)):
        return error.code
    return _INTERNAL


def problem_answer(error: Exception, entropy: Entropy, *, path: str) -> Answer:
    """The answer to a request that raised ``error``; failures of the server are logged under an id of their own."""
    status = status_of(error)
    if status >= 500:
        error_id = str(entropy.uuid())
        log.error("request failed", error_id=error_id, path=path, code=code_of(error), exc_info=error)
        text = f"the server failed to answer; its log has the details under {error_id}"
    elif isinstance(error, HTTPException):
        text = "there is nothing at this address" if status == 404 else error.detail
    else:
        text = str(error)
    return Answer(status, encode_json(_problem(error, text)), _headers(error))


def _problem(error: Exception, text: str) -> wire.Problem:
    problem = wire.Problem(code=code_of(error), error=text)
    if isinstance(error, errors.InvalidParameter):
        return msgspec.structs.replace(problem, parameter=error.parameter)
    if isinstance(error, errors.MachineConfigError):
        defects = [
            wire.Defect(path=defect.path, message=defect.message, suggestion=defect.suggestion)
            for defect in error.defects
        ]
        return msgspec.structs.replace(problem, defects=defects)
    if isinstance(error, errors.MachineCodeError):
        return msgspec.structs.replace(problem, file=error.file, line=error.line)
    return problem


def _headers(error: Exception) -> Headers:
    if isinstance(error, errors.InvalidToken):
        return ((b"www-authenticate", b"Bearer"),)
    if isinstance(error, MethodNotAllowed):
        return ((b"allow", error.allowed.encode()),)
    if isinstance(error, errors.MailboxFull):
        return ((b"retry-after", b"1"),)
    if isinstance(error, UpgradeRequired):
        return ((b"upgrade", b"websocket"), (b"connection", b"upgrade"))
    return ()


# msgspec says where in a sentence of its own: "… field `slug`" for what is missing, "… - at `$.event.type`" otherwise.
_MISSING_FIELD = re.compile(r"missing required field `([^`]+)`")
_PLACE = re.compile(r" - at `\$\.?([^.`\[]*)")


def invalid_body(error: ValueError | RecursionError, expected: Any = None) -> errors.InvalidParameter:
    """The refusal of a body that is not JSON, or not the JSON of the ``expected`` type, naming the field at fault."""
    if isinstance(error, RecursionError):
        return errors.InvalidParameter("the body is nested too deeply", "body")
    text = str(error)
    place = _PLACE.search(text)
    missing = _MISSING_FIELD.search(text)
    parameter = (place.group(1) if place else "") or (missing.group(1) if missing else "") or "body"
    allowed = _allowed_words(expected, parameter) if "Invalid enum value" in text else []
    hint = f"; use {' or '.join(allowed)}" if allowed else ""
    return errors.InvalidParameter(f"the body is not acceptable: {text}{hint}", parameter)


def _allowed_words(expected: Any, parameter: str) -> list[str]:
    """The words that a field of a body takes, if it takes but some."""
    if not isinstance(expected, type) or not issubclass(expected, msgspec.Struct):
        return []
    kinds = [field.type for field in msgspec.structs.fields(expected) if field.encode_name == parameter]
    kinds += [part for kind in kinds for part in get_args(kind)]  # of a list, or where nothing may be said too
    return [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
