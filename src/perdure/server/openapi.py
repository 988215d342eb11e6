"""The OpenAPI 3.1 document: made of the table of endpoints, the types of the wire, and what names and ids look like.

Served without a token it tells of the API and of nobody's machines. A caller with ``machines.read`` also gets, for each
machine of the org whose current version declares the types of its events, the path of its events with their schemas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from perdure import wire
from perdure.json_value import JsonObject
from perdure.server.api_table import ENDPOINTS
from perdure.server.endpoint import Endpoint
from perdure.tokens import SCOPES

__all__ = ["EVENTS_PATH", "machine_path", "openapi_document", "operation_id"]

_REFERENCE = "#/components/schemas/{name}"
_NAME = {"type": "string", "pattern": f"^{wire.NAME_PATTERN}$"}
_ID = {"type": "string", "minLength": 1}
_PLACE = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 2048}, {"type": "null"}]}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100}
_SHORT = {"type": "string", "minLength": 1, "maxLength": 256}

EVENTS_PATH = "/machines/{machineSlug}/i/{instanceSlug}/events"

_PATH_PARAMETERS: Mapping[str, JsonObject] = {
    "machineSlug": _NAME,
    "instanceSlug": _NAME,
    "service": _NAME,
    "slug": _NAME,
    "org": _ID,
    "file": _ID,
    "keyId": _ID,
    "letterId": _ID,
    "signedMachineVersionId": _ID,
    "signedMachineVersionMigrationId": _ID,
    "index": _NAME,
}

# What the types of Python do not say and the server checks all the same.
_NARROWER: Mapping[str, Mapping[str, JsonObject]] = {
    "DeleteIdentityProvider": {"aud": _PLACE, "iss": _PLACE},
    "SendEvent": {
        "event": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "required": ["type"], "properties": {"type": {"type": "string", "minLength": 1}}},
            ]
        }
    },
    "UpsertIdentityProvider": {"aud": _PLACE, "iss": _PLACE},
    "CreateMachine": {"slug": _NAME, "indexes": {"type": "array", "items": _NAME, "uniqueItems": True}},
    "CreateInstance": {"slug": _NAME},
    "CreateKey": {
        "name": _SHORT,
        "scopes": {"anyOf": [{"type": "array", "items": {"enum": sorted(SCOPES)}}, {"type": "null"}]},
    },
    "CreateOrg": {"name": _SHORT},
    "JournalRetention": {
        "entries": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "days": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
    },
    "TokenProvider": {"service": _NAME},
    "UpgradeInstances": {
        "instances": {"anyOf": [{"type": "array", "items": _NAME, "maxItems": 1_000}, {"type": "null"}]},
        "limit": _LIMIT,
    },
    "RebuildIndex": {"limit": _LIMIT},
}

_REFUSALS = {
    400: "The request is not acceptable; `parameter` says which part of it.",
    401: "No token, or one that is not good.",
    403: "The token may not do this.",
    404: "There is no such thing.",
    405: "The path does not know this method.",
    409: "It exists, and is not in a state that allows this.",
    413: "The body, or the context that would come of it, is too large.",
    422: "The machine's own code failed; nothing has changed.",
    426: "Only a WebSocket is served here.",
    429: "Too much at once; try again later.",
    503: "Something that this server needs does not answer.",
}


def openapi_document(version: str, *, machines: Mapping[str, Mapping[str, JsonObject]] | None = None) -> JsonObject:
    """The document of this release. ``machines`` has the schemas of events by type, by machine."""
    types = [item for endpoint in ENDPOINTS for item in (endpoint.body, endpoint.answer) if _is_struct(item)]
    _, schemas = msgspec.json.schema_components([*types, wire.Problem], ref_template=_REFERENCE)
    for name, fields in _NARROWER.items():
        schemas[name]["properties"].update(fields)
    paths: JsonObject = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    for machine, events in (machines or {}).items():
        paths[machine_path(machine)] = {"post": _typed_events(machine, events)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perdure",
            "version": version,
            "description": (
                "Durable statecharts: machines and their instances. Errors are JSON with a stable `code`. "
                "Lists come in pages; a page without `cursor` is the last."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in ENDPOINTS)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Signed with a key of the org (HS256), or had from `POST /tokens`.",
                }
            },
        },
    }


def machine_path(machine: str) -> str:
    """The path under which the events of one machine are described."""
    return EVENTS_PATH.replace("{machineSlug}", machine)


def _operation(endpoint: Endpoint) -> JsonObject:
    operation: JsonObject = {
        "tags": [endpoint.tag],
        "summary": endpoint.about,
        "operationId": operation_id(endpoint.method, endpoint.path),
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint),
        "security": [{"token": [scope]} for scope in endpoint.scopes],
    }
    if endpoint.details:
        operation["description"] = endpoint.details
    schema = _schema(endpoint.body) if endpoint.body is not None else endpoint.form
    if schema is not None:
        operation["requestBody"] = {
            "required": endpoint.is_body_required,
            "content": {(endpoint.media_type if endpoint.form else "application/json"): {"schema": schema}},
        }
    return operation


def operation_id(method: str, path: str) -> str:
    """What programs call an endpoint: ``getMachinesMachineSlug``."""
    words = re.findall(r"[A-Za-z]+", path)
    return "".join([method.lower(), *(word[0].upper() + word[1:] for word in words)])


def _parameters(endpoint: Endpoint) -> list[JsonObject]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]}
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    in_query = [
        {
            "name": query.name,
            "in": "query",
            "required": query.is_required,
            "description": query.about,
            "schema": dict(query.schema),
        }
        for query in endpoint.query
    ]
    return in_path + in_query


def _responses(endpoint: Endpoint) -> JsonObject:
    success: JsonObject = {"description": "Done."}
    if endpoint.links:
        success["links"] = {
            f"{method} {path}": {"operationId": operation_id(method, path), "parameters": dict(parameters)}
            for (method, path), parameters in endpoint.links.items()
        }
    if endpoint.answer is not None:
        success["content"] = {"application/json": {"schema": _schema(endpoint.answer)}}
    elif endpoint.media_type == "text/html":
        success["content"] = {"text/html": {}}
    statuses = {400, *endpoint.refusals} if endpoint.query or endpoint.body or endpoint.form else {*endpoint.refusals}
    if endpoint.scopes:
        statuses |= {400, 401, 403}
    if "{" in endpoint.path:
        statuses |= {400, 404}
    if endpoint.body or endpoint.form:
        statuses.add(413)
    refusals = {
        str(status): {
            "description": _REFUSALS[status],
            "content": {"application/json": {"schema": _schema(wire.Problem)}},
        }
        for status in sorted(statuses)
    }
    return {str(endpoint.status): success, **refusals}


def _schema(described: Any) -> JsonObject:
    if _is_struct(described):
        return {"$ref": _REFERENCE.format(name=described.__name__)}
    return {"type": "object"}


def _is_struct(described: Any) -> bool:
    return isinstance(described, type) and issubclass(described, msgspec.Struct)


def _typed_events(machine: str, events: Mapping[str, JsonObject]) -> JsonObject:
    """Sending events to one machine, whose events have schemas."""
    generic = next(each for each in ENDPOINTS if (each.method, each.path) == ("POST", EVENTS_PATH))
    operation = _operation(generic)
    event = {"anyOf": [schema for _, schema in sorted(events.items())]}
    body = {"type": "object", "required": ["event"], "properties": {"event": event}}
    operation["operationId"] += f"Of{re.sub('[^A-Za-z0-9]', '', machine.title())}"
    operation["summary"] = f"Send an event to an instance of {machine}."
    operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "machineSlug"]
    operation["requestBody"]["content"]["application/json"]["schema"] = body
    return operation
