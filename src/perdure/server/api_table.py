"""Every endpoint of the HTTP API: what it takes, what it answers, whom it lets in.

``openapi`` makes the published document of this table and of the types of ``perdure.wire``; tests hold the routes of
the application to it in both directions, and hold a running server to the document. An endpoint that is not here does
not exist, and one that is here is a promise.
"""

from __future__ import annotations

import re

from perdure import wire, wire_access
from perdure.server.endpoint import CURSOR, GZIP, Endpoint
from perdure.server.evolution_api import EVOLUTION
from perdure.server.upkeep_api import UPKEEP

__all__ = ["ENDPOINTS"]


_INSTANCE = "/machines/{machineSlug}/i/{instanceSlug}"
_UPLOAD_FORM = {
    "type": "object",
    "required": ["key", "file"],
    "properties": {
        "key": {"type": "string", "description": "The fields that were given out with the address."},
        "content-type": {"type": "string"},
        "content-encoding": {"type": "string"},
        "file": {"type": "string", "contentMediaType": "application/octet-stream", "description": "The code, last."},
    },
}
_EXCHANGE_FORM = {
    "type": "object",
    "required": ["grant_type", "audience", "subject_token"],
    "properties": {
        "grant_type": {"const": wire_access.TOKEN_EXCHANGE},
        "audience": {
            "type": "string",
            "pattern": f"^{re.escape(wire_access.EXCHANGE_AUDIENCE)}/[a-zA-Z0-9_-]{{1,128}}/[a-zA-Z0-9_-]{{1,128}}$",
        },
        "requested_token_type": {"const": wire_access.ACCESS_TOKEN_TYPE},
        "subject_token": {"type": "string", "minLength": 1},
    },
}

_MACHINES = (
    Endpoint(
        method="GET",
        path="/machines",
        tag="Machines",
        about="List the machines of the org.",
        scopes=("machines.read",),
        query=(CURSOR,),
        answer=wire.MachinesPage,
    ),
    Endpoint(
        method="POST",
        path="/machines",
        tag="Machines",
        about="Create a machine, which has no version yet.",
        scopes=("machines.write",),
        body=wire.CreateMachine,
        status=201,
        refusals=(409,),
        links={
            (method, path): {"machineSlug": "$request.body#/slug"}
            for method, path in (
                ("GET", "/machines/{machineSlug}"),
                ("GET", "/machines/{machineSlug}/v"),
                ("GET", "/machines/{machineSlug}/i"),
                ("POST", "/machines/{machineSlug}"),
                ("POST", "/machines/{machineSlug}/v"),
            )
        },
    ),
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}",
        tag="Machines",
        about="Show a machine.",
        scopes=("machines.read",),
        answer=wire.MachineAnswer,
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}",
        tag="Instances",
        about="Create an instance, and answer its state once it has settled.",
        scopes=("instances.write",),
        body=wire.CreateInstance,
        answer=wire.State,
        refusals=(409, 413, 422),
        links={
            (method, path): {
                "machineSlug": "$request.path.machineSlug",
                "instanceSlug": "$request.body#/slug",
            }
            for method, path in (
                ("GET", _INSTANCE),
                ("GET", f"{_INSTANCE}/admin"),
                ("GET", f"{_INSTANCE}/events"),
                ("POST", f"{_INSTANCE}/events"),
                ("PUT", f"{_INSTANCE}/status"),
            )
        },
        details="The context is merged over the machine's own, key by key. `allow_write` is asked.",
    ),
    Endpoint(
        method="DELETE",
        path="/machines/{machineSlug}",
        tag="Machines",
        about="Delete a machine with its versions and migrations, for ever.",
        scopes=("machines.admin",),
        body=wire.DeleteMachine,
        status=204,
        refusals=(409,),
        details="The HMAC is the base64url SHA-256 HMAC of the machine's name under the machine's name.",
    ),
)

_VERSIONS = (
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}/v",
        tag="Versions",
        about="List the versions of a machine.",
        scopes=("machine-versions.read",),
        query=(CURSOR,),
        answer=wire.VersionsPage,
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}/v",
        tag="Versions",
        about="Ask for a place to upload a version's code to.",
        scopes=("machine-versions.write",),
        query=(GZIP,),
        answer=wire.ProvisionalVersion,
        details="Nothing is visible before the version is finalized. A body is ignored.",
    ),
    Endpoint(
        method="PUT",
        path="/machines/{machineSlug}/v/{signedMachineVersionId}",
        tag="Versions",
        about="Make a version of uploaded code, if it loads.",
        scopes=("machine-versions.write",),
        body=wire.FinalizeVersion,
        is_body_required=False,
        answer=wire.FinalVersion,
        refusals=(409, 413),
    ),
    Endpoint(
        method="POST",
        path="/code-uploads",
        tag="Versions",
        about="Upload code; the field `key` of the form is the permission.",
        form=_UPLOAD_FORM,
        media_type="multipart/form-data",
        status=204,
        refusals=(403, 404, 413),
    ),
)

_INSTANCES = (
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}/i",
        tag="Instances",
        about="List the instances of a machine.",
        scopes=("instances.read",),
        query=(CURSOR,),
        answer=wire.InstancesPage,
    ),
    Endpoint(
        method="GET",
        path=_INSTANCE,
        tag="Instances",
        about="Read an instance; `allow_read` is asked.",
        scopes=("state.read",),
        answer=wire.State,
    ),
    Endpoint(
        method="DELETE",
        path=_INSTANCE,
        tag="Instances",
        about="Delete an instance and everything of it, for ever.",
        scopes=("instances.admin",),
        body=wire.DeleteInstance,
        status=204,
        details="The HMAC is the base64url SHA-256 HMAC of the instance's name under the machine's name.",
    ),
    Endpoint(
        method="GET",
        path=f"{_INSTANCE}/events",
        tag="Instances",
        about="List what an instance went through, oldest first.",
        scopes=("instances.admin",),
        query=(CURSOR,),
        answer=wire.TransitionsPage,
    ),
    Endpoint(
        method="POST",
        path=f"{_INSTANCE}/events",
        tag="Instances",
        about="Send an event, and answer the state once the instance has settled.",
        scopes=("events.write", "instances.write"),
        body=wire.SendEvent,
        answer=wire.State,
        refusals=(409, 413, 422),
        details="`allow_write` is asked. An event that nothing handles changes nothing and is answered like any other.",
    ),
    Endpoint(
        method="GET",
        path=f"{_INSTANCE}/admin",
        tag="Instances",
        about="Inspect an instance, private context included; no authoriser is asked.",
        scopes=("instances.admin",),
        answer=wire.AdminState,
    ),
    Endpoint(
        method="PUT",
        path=f"{_INSTANCE}/status",
        tag="Instances",
        about="Pause an instance, which then refuses every event, or let it run.",
        scopes=("instances.admin",),
        body=wire.SetStatus,
        status=204,
        refusals=(409,),
    ),
)

_ACCESS = (
    Endpoint(
        method="GET",
        path="/keys",
        tag="Keys",
        about="List the keys of the org, without their secrets.",
        scopes=("tokens.admin",),
        query=(CURSOR,),
        answer=wire.KeysPage,
    ),
    Endpoint(
        method="POST",
        path="/keys",
        tag="Keys",
        about="Create a key with a use or with scopes; its secret is answered once.",
        scopes=("org.keys.write",),
        body=wire.CreateKey,
        answer=wire.CreatedKey,
    ),
    Endpoint(
        method="DELETE",
        path="/keys/{keyId}",
        tag="Keys",
        about="Delete a key; every token that it signed is refused from then on.",
        scopes=("org.keys.write",),
        status=204,
    ),
    Endpoint(
        method="POST",
        path="/tokens",
        tag="Tokens",
        about="Exchange a token of an identity provider for one of this server (RFC 8693).",
        form=_EXCHANGE_FORM,
        media_type="application/x-www-form-urlencoded",
        answer=wire_access.ExchangedToken,
        refusals=(403, 413, 503),
    ),
    Endpoint(
        method="GET",
        path="/idps",
        tag="Tokens",
        about="List the identity providers of the org, without their keys.",
        scopes=("tokens.admin",),
        query=(CURSOR,),
        answer=wire_access.IdentityProvidersPage,
    ),
    Endpoint(
        method="POST",
        path="/idps",
        tag="Tokens",
        about="Trust an identity provider, in the place of the one with this aud and iss.",
        scopes=("tokens.admin",),
        body=wire_access.UpsertIdentityProvider,
        status=204,
    ),
    Endpoint(
        method="DELETE",
        path="/idps",
        tag="Tokens",
        about="Trust an identity provider no more.",
        scopes=("tokens.admin",),
        body=wire_access.DeleteIdentityProvider,
        status=204,
        refusals=(404,),
    ),
    Endpoint(
        method="GET",
        path="/token-providers",
        tag="Tokens",
        about="List the token providers of the org.",
        scopes=("tokens.admin",),
        query=(CURSOR,),
        answer=wire_access.TokenProvidersPage,
    ),
    Endpoint(
        method="POST",
        path="/token-providers",
        tag="Tokens",
        about="Say how the tokens of a service are made, in the place of what was said before.",
        scopes=("tokens.admin",),
        body=wire_access.TokenProvider,
        status=204,
    ),
    Endpoint(
        method="DELETE",
        path="/token-providers/{service}",
        tag="Tokens",
        about="Make no more tokens for a service.",
        scopes=("tokens.admin",),
        status=204,
    ),
    Endpoint(
        method="GET",
        path="/orgs",
        tag="Orgs",
        about="List the one org that the key belongs to.",
        scopes=("org.read",),
        answer=wire.OrgsPage,
    ),
    Endpoint(
        method="POST",
        path="/orgs",
        tag="Orgs",
        about="Create an org and its first key, where the server allows it.",
        scopes=("org.write",),
        body=wire_access.CreateOrg,
        answer=wire_access.CreatedOrg,
    ),
    Endpoint(
        method="GET",
        path="/billing",
        tag="Orgs",
        about="Say that nothing is billed.",
        scopes=("org.write",),
        answer=wire_access.Billing,
    ),
)

_OTHERS = (
    Endpoint(
        method="GET",
        path="/rt",
        tag="Realtime",
        about="Live views of instances over a WebSocket; plain HTTP is told to upgrade.",
        status=101,
        refusals=(401, 403, 426),
        details=(
            "Connect with `?token=<token>`. Send `{type: subscribe-to-instance, requestId, machineName, "
            "machineInstanceName}`, the same with `unsubscribe-from-instance`, and `{type: ping}` at least every ten "
            "minutes. An `instance-update` comes at once and after every change; an `error` with the `requestId` when "
            "a subscription is refused or ends."
        ),
    ),
    Endpoint(method="GET", path="/healthz", tag="Server", about="Say that this process serves requests.", answer=dict),
    Endpoint(
        method="GET",
        path="/readyz",
        tag="Server",
        about="Say whether this process should be sent requests: its store answers and mail is delivered.",
        answer=dict,
        refusals=(503,),
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        tag="Server",
        about="Numbers for Prometheus; open to everybody where the server was told so.",
        scopes=("analytics.read",),
        media_type="text/plain",
    ),
    Endpoint(method="GET", path="/openapi.json", tag="Server", about="This document.", answer=dict),
    Endpoint(
        method="GET",
        path="/docs/{file}",
        tag="Server",
        about="A file of that page.",
        media_type="text/html",
    ),
    Endpoint(method="GET", path="/docs", tag="Server", about="This document as a page.", media_type="text/html"),
)

_HTTP_API = tuple(
    Endpoint(
        method=method,
        path="/http-api/{org}/machines/{machineSlug}/{slug}",
        tag="HTTP API of machines",
        about="What a machine's own handler makes of a request; the answer is the machine's.",
        refusals=(403, 404, 409, 413, 422),
        answer=dict,
        details="No token: the handler decides whom it believes.",
    )
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *_MACHINES,
    *_VERSIONS,
    *EVOLUTION,
    *_INSTANCES,
    *_ACCESS,
    *_HTTP_API,
    *UPKEEP,
    *_OTHERS,
)
