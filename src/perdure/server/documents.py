"""``/openapi.json`` and ``/docs``: what the API is, for programs and for people.

The page is Swagger UI from the static files of a package, so that it works where nothing else can be reached. Nothing
of another origin is loaded: the page says so to the browser, too.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files

from starlette.routing import Route

from perdure.errors import NotFound
from perdure.json_value import JsonObject, encode_json
from perdure.server.answer import Answer, Headers, ok
from perdure.server.openapi import openapi_document
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]

_MACHINES_SCOPE = ("machines.read",)

# Swagger UI makes styles and images of its own while it runs, and evaluates no text as code.
_POLICY: Headers = (
    (
        b"content-security-policy",
        b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)

_FILES = {
    "swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>perdure API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<body>
<noscript>This page needs JavaScript. The document itself is at <a href="openapi.json">openapi.json</a>.</noscript>
<div id="document"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""

_START = """"use strict";
SwaggerUIBundle({ url: "openapi.json", dom_id: "#document", deepLinking: true, docExpansion: "none" });
"""


def routes(services: Services) -> list[Route]:
    return [
        Route("/openapi.json", Resource(services, GET=Operation(answer_document, ()))),
        Route("/docs", Resource(services, GET=Operation(answer_page, ()))),
        Route("/docs/{file}", Resource(services, GET=Operation(answer_file, ()))),
    ]


async def answer_document(call: Call) -> Answer:
    if call.header("authorization") is None:
        return Answer(200, _public_document())
    await call.authenticate(_MACHINES_SCOPE)
    machines = await _typed_machines(call.services, call.org)
    return ok(openapi_document(version("perdure"), machines=machines))


@cache
def _public_document() -> bytes:
    return encode_json(openapi_document(version("perdure")))


async def _typed_machines(services: Services, org: str) -> dict[str, dict[str, JsonObject]]:
    """The schemas of the events of every machine of the org that declares them."""
    runtime = services.runtime
    found: dict[str, dict[str, JsonObject]] = {}
    cursor: str | None = None
    while True:
        page = await runtime.store.list_machines(org, cursor=cursor, limit=services.settings.page_size)
        for machine in page.rows:
            if machine.current_version is not None:
                schemas = await runtime.host.event_schemas(await runtime.version(machine.current_version))
                if schemas:
                    found[machine.name] = schemas
        cursor = page.cursor
        if cursor is None:
            return found


async def answer_page(call: Call) -> Answer:
    headers: Headers = ((b"content-type", b"text/html; charset=utf-8"), *_POLICY)
    return Answer(200, _PAGE.encode(), headers, is_json=False)


async def answer_file(call: Call) -> Answer:
    name = call.path("file")
    if name == "start.js":
        body, kind = _START.encode(), _FILES["swagger-ui-bundle.js"]
    elif name in _FILES:
        body, kind = _static_file(name), _FILES[name]
    else:
        raise NotFound("there is nothing at this address")
    return Answer(200, body, ((b"content-type", kind), (b"cache-control", b"max-age=86400")), is_json=False)


@cache
def _static_file(name: str) -> bytes:
    return files("swagger_ui").joinpath("static", name).read_bytes()
