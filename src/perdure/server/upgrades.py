"""``/machines/{machine}/migrations``, ``…/i/{instance}/v`` and ``…/upgrades``: how instances change their version.

The last one is perdure's own. It works in pages that the caller drives: what has been done is in the instances, and
nothing is remembered here between two requests.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from perdure import wire
from perdure import wire_evolution as evolution
from perdure.durable.records import UploadRecord
from perdure.durable.upgrading import OutcomePage
from perdure.entropy import prefixed_id
from perdure.errors import InvalidParameter, NotFound
from perdure.server.answer import Answer, created, ok
from perdure.server.resource import Call, Operation, Resource, checked_name
from perdure.server.services import Services
from perdure.server.uploads import begin_upload, refuse_unless_allowed, uploaded_source, wants_gzip
from perdure.server.versions import version_of

__all__ = ["checked_limit", "routes"]

_CREATE = msgspec.json.Decoder(evolution.CreateMigration)
_SET_DESIRED = msgspec.json.Decoder(evolution.SetDesiredVersion)
_UPGRADE = msgspec.json.Decoder(evolution.UpgradeInstances)

INSTANCES_MAX = 1_000
"""Instances in one request."""


def routes(services: Services) -> list[Route]:
    migrations = Resource(
        services,
        GET=Operation(list_migrations, ("machine-versions.read",)),
        POST=Operation(create_provisionally, ("machine-versions.write",)),
    )
    upgrades = Resource(
        services,
        GET=Operation(show_population, ("instances.read",)),
        POST=Operation(apply, ("instances.admin",)),
    )
    return [
        Route(
            "/machines/{machineSlug}/i/{instanceSlug}/v",
            Resource(services, PUT=Operation(set_desired_version, ("instances.write",))),
        ),
        Route("/machines/{machineSlug}/migrations", migrations),
        Route(
            "/machines/{machineSlug}/migrations/{signedMachineVersionMigrationId}",
            Resource(services, PUT=Operation(finalize, ("machine-versions.write",))),
        ),
        Route("/machines/{machineSlug}/upgrades", upgrades),
        Route(
            "/machines/{machineSlug}/upgrades/plan",
            Resource(services, POST=Operation(plan, ("instances.admin",))),
        ),
    ]


# -- migrations --------------------------------------------------------------------------------------------------------


async def list_migrations(call: Call) -> Answer:
    store = call.services.runtime.store
    if await store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine}")
    page = await store.list_migrations(
        call.org, call.machine, cursor=call.cursor, limit=call.services.settings.page_size
    )
    migrations = [
        evolution.MigrationSummary(
            id=migration.id,
            created_at=wire.wire_time(migration.created_at),
            from_machine_version_id=migration.from_version_id,
            to_machine_version_id=migration.to_version_id,
        )
        for migration in page.rows
    ]
    return ok(evolution.MigrationsPage(migrations=migrations, cursor=page.cursor))


async def create_provisionally(call: Call) -> Answer:
    """The first half of an upload. The body may repeat the code, in ten times its size, to no effect."""
    services = call.services
    refuse_unless_allowed(services)
    request = await call.body(_CREATE, bytes_max=services.settings.migration_body_bytes_max)
    await services.runtime.upgrades.check_versions(
        call.org, call.machine, request.from_machine_version_id, request.to_machine_version_id
    )
    upload = UploadRecord(
        id=services.entropy.secret(),
        org=call.org,
        machine=call.machine,
        created_at=services.clock.now(),
        gzip=wants_gzip(call),
        version_id=prefixed_id("mig", services.entropy.uuid()),
        from_version_id=request.from_machine_version_id,
        to_version_id=request.to_machine_version_id,
    )
    url, fields = await begin_upload(call, upload)
    answer = evolution.ProvisionalMigration(
        machine_version_migration_id=upload.id, code_upload_url=url, code_upload_fields=fields
    )
    return ok(answer)


async def finalize(call: Call) -> Answer:
    """The second half: the uploaded code becomes a migration, if it loads."""
    services = call.services
    refuse_unless_allowed(services)
    upload_id = call.path("signedMachineVersionMigrationId")
    upload, source, file_name = await uploaded_source(call, upload_id, of_migration=True)
    migration = await services.runtime.upgrades.deploy_migration(
        call.org,
        call.machine,
        source,
        from_version_id=upload.from_version_id or "",
        to_version_id=upload.to_version_id or "",
        file_name=file_name,
        migration_id=upload.version_id,
    )
    await services.runtime.store.delete_upload(upload.id)
    return ok(evolution.FinalMigration(machine_version_migration_id=migration.id))


# -- upgrades ----------------------------------------------------------------------------------------------------------


async def set_desired_version(call: Call) -> Answer:
    address = call.address
    request = await call.body(_SET_DESIRED)
    await call.services.runtime.upgrades.set_desired_version(address, request.target_machine_version_id)
    return created()


async def show_population(call: Call) -> Answer:
    store = call.services.runtime.store
    if await store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine}")
    counts = await store.count_instances(call.org, call.machine)
    versions = [
        evolution.PopulatedVersion(machine_version=await version_of(call.services, version_id), instances=count)
        for version_id, count in counts.items()
    ]
    versions.sort(key=lambda version: version.machine_version.created_at)
    return ok(evolution.Population(versions=versions))


async def plan(call: Call) -> Answer:
    request = await _upgrade_request(call)
    page = await call.services.runtime.upgrades.plan(
        call.org,
        call.machine,
        request.target_machine_version_id,
        instances=request.instances,
        cursor=request.cursor,
        limit=request.limit,
    )
    return _outcomes(page)


async def apply(call: Call) -> Answer:
    request = await _upgrade_request(call)
    page = await call.services.runtime.upgrades.apply(
        call.org,
        call.machine,
        request.target_machine_version_id,
        instances=request.instances,
        cursor=request.cursor,
        limit=request.limit,
    )
    return _outcomes(page)


async def _upgrade_request(call: Call) -> evolution.UpgradeInstances:
    request = await call.body(_UPGRADE)
    checked_limit(request.limit)
    for name in request.instances or ():
        checked_name(name, "instances")
    if request.instances is not None and len(request.instances) > INSTANCES_MAX:
        raise InvalidParameter(f"at most {INSTANCES_MAX} instances at a time", "instances")
    return request


def checked_limit(limit: int) -> int:
    """How many instances one request may concern. Raises ``InvalidParameter``."""
    if not 1 <= limit <= INSTANCES_MAX:
        raise InvalidParameter(f"the limit is 1 to {INSTANCES_MAX}, not {limit}", "limit")
    return limit


def _outcomes(page: OutcomePage) -> Answer:
    outcomes = [
        evolution.UpgradeOutcome(
            instance=outcome.instance,
            kind=outcome.kind,
            machine_version_id=outcome.version_id,
            before=outcome.before,
            after=outcome.after,
            code=outcome.code,
            error=outcome.error,
        )
        for outcome in page.outcomes
    ]
    return ok(evolution.UpgradeOutcomes(outcomes=outcomes, cursor=page.cursor))
