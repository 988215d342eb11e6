"""Taking a request of a machine's own HTTP API to the instance it is for. What the functions see is in ``http_api``."""

from __future__ import annotations

from contextlib import suppress

from perdure.durable.http_api import HttpAnswer, HttpRequest, HttpResult
from perdure.durable.records import Address
from perdure.durable.runtime import Runtime
from perdure.errors import InstanceExists, NotFound

__all__ = ["handle_http"]


async def handle_http(runtime: Runtime, org: str, machine: str, slug: str, request: HttpRequest) -> HttpAnswer | None:
    """Take a request to the instance it is for; ``None`` when it was taken and there is nothing more to say.

    The handler is the one of the machine's current version. Raises ``NotFound`` (machine, slug, or an instance without
    an initial context), ``HttpHandlerFailed``, and what creating and sending raise.
    """
    record = await runtime.store.machine(org, machine)
    if record is None or record.current_version is None:
        raise NotFound(f"there is no machine {machine!r} with a current version")
    version = await runtime.version(record.current_version)
    wanted = await runtime.host.http_event(version, slug, request)
    # A handler speaks for callers, never for an instance: only the runtime says who sends.
    claims = {name: value for name, value in wanted.auth_context.items() if name != "stateBackedSender"}
    address = Address(org, machine, wanted.machine_instance_name)
    if wanted.initial_context is not None and await runtime.record(address) is None:
        with suppress(InstanceExists):  # another request was faster, which is as good
            await runtime.create_instance(address, wanted.initial_context, auth_context=claims)
    await runtime.send(address, wanted.event, auth_context=dict(claims))
    snapshot = (await runtime.inspect(address)).snapshot
    result = HttpResult(
        state=snapshot.value,
        context=snapshot.context,
        result=snapshot.output if snapshot.is_done else None,
    )
    return await runtime.host.http_answer(version, slug, result)
