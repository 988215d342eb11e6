"""``/machines/{machine}/v``: the versions of a machine, and bringing in new ones."""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from perdure import wire
from perdure.durable.records import UploadRecord, VersionRecord
from perdure.entropy import prefixed_id
from perdure.errors import NotFound
from perdure.server.answer import Answer, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services
from perdure.server.uploads import begin_upload, refuse_unless_allowed, uploaded_source, wants_gzip

__all__ = ["routes", "version_of"]

_FINALIZE = msgspec.json.Decoder(wire.FinalizeVersion)


def routes(services: Services) -> list[Route]:
    collection = Resource(
        services,
        GET=Operation(list_versions, ("machine-versions.read",)),
        POST=Operation(create_provisionally, ("machine-versions.write",)),
    )
    provisional = Resource(services, PUT=Operation(finalize, ("machine-versions.write",)))
    return [
        Route("/machines/{machineSlug}/v", collection),
        Route("/machines/{machineSlug}/v/{signedMachineVersionId}", provisional),
    ]


async def version_of(services: Services, version_id: str) -> wire.Version:
    """A version as the wire shows it. Raises ``NotFound``."""
    known = services.versions.get(version_id)
    if known is not None:
        return known
    record = await services.runtime.store.version(version_id)
    if record is None:
        raise NotFound(f"there is no machine version {version_id}")
    version = _version(record)
    services.versions.put(version_id, version)
    return version


async def list_versions(call: Call) -> Answer:
    store = call.services.runtime.store
    if await store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine}")
    page = await store.list_versions(call.org, call.machine, cursor=call.cursor, limit=call.services.settings.page_size)
    return ok(wire.VersionsPage(versions=[_version(record) for record in page.rows], cursor=page.cursor))


async def create_provisionally(call: Call) -> Answer:
    """The first half of an upload."""
    services = call.services
    refuse_unless_allowed(services)
    if await services.runtime.store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine}")
    upload = UploadRecord(
        id=services.entropy.secret(),
        org=call.org,
        machine=call.machine,
        created_at=services.clock.now(),
        gzip=wants_gzip(call),
        version_id=prefixed_id("ver", services.entropy.uuid()),
    )
    url, fields = await begin_upload(call, upload)
    return ok(wire.ProvisionalVersion(machine_version_id=upload.id, code_upload_url=url, code_upload_fields=fields))


async def finalize(call: Call) -> Answer:
    """The second half: the uploaded code becomes a version, if it loads."""
    services = call.services
    refuse_unless_allowed(services)
    request = await call.body(_FINALIZE, default=wire.FinalizeVersion())
    upload, source, file_name = await uploaded_source(call, call.path("signedMachineVersionId"), of_migration=False)
    version = await services.runtime.deploy(
        call.org,
        call.machine,
        source,
        file_name=file_name,
        client_info=request.client_info,
        make_current=request.make_current,
        version_id=upload.version_id,
        index_selectors=request.index_selectors,
    )
    await services.runtime.store.delete_upload(upload.id)
    return ok(wire.FinalVersion(machine_version_id=version.id))


def _version(record: VersionRecord) -> wire.Version:
    return wire.Version(id=record.id, created_at=wire.wire_time(record.created_at), client_info=record.client_info)
