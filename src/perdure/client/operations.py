"""Every operation of the HTTP API, as a generator that both faces of the client drive.

Lists follow their cursors until ``limit`` items are there, or to the end. Deploying is the contract's three steps: ask
for a place to upload to, upload, finalize; nothing is visible before the last.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote

from perdure import wire
from perdure.client.exchange import Operation, Upload, ask, follow, tell
from perdure.errors import InvalidState, NotFound
from perdure.json_value import JsonObject


def list_machines(limit: int | None = None) -> Operation[list[wire.MachineSummary]]:
    return (yield from follow("/machines", wire.MachinesPage, lambda page: page.machines, limit))


def get_machine(machine: str) -> Operation[wire.MachineDetail]:
    answer = yield from ask("GET", _machine(machine), wire.MachineAnswer)
    return answer.machine


def create_machine(machine: str, indexes: Sequence[str] = ()) -> Operation[None]:
    return (yield from tell("POST", "/machines", body=wire.CreateMachine(slug=machine, indexes=list(indexes))))


def delete_machine(machine: str) -> Operation[None]:
    body = wire.DeleteMachine(
        danger_data_will_be_deleted_forever=True,
        hmac_sha256_of_machine_name_with_machine_name_key=deletion_hmac(machine, machine),
    )
    return (yield from tell("DELETE", _machine(machine), body=body))


def list_versions(machine: str, limit: int | None = None) -> Operation[list[wire.Version]]:
    return (yield from follow(f"{_machine(machine)}/v", wire.VersionsPage, lambda page: page.versions, limit))


def deploy(
    machine: str,
    source: str,
    *,
    file_name: str,
    client_info: str = "",
    make_current: bool = True,
    index_selectors: Mapping[str, str] | None = None,
) -> Operation[str]:
    """Upload a machine version's source; the id of the version."""
    versions = f"{_machine(machine)}/v"
    provisional = yield from ask("POST", versions, wire.ProvisionalVersion, query={"gzip": ""})
    upload = Upload(
        fields={
            **provisional.code_upload_fields,
            # The contract has one content type for code in every language.
            "content-type": "application/javascript",
            "content-encoding": "gzip",
        },
        file_name=file_name,
        content=gzip.compress(source.encode(), mtime=0),
    )
    yield from tell("POST", provisional.code_upload_url, upload=upload)
    final = yield from ask(
        "PUT",
        f"{versions}/{quote(provisional.machine_version_id, safe='')}",
        wire.FinalVersion,
        body=wire.FinalizeVersion(
            client_info=client_info, make_current=make_current, index_selectors=dict(index_selectors or {})
        ),
    )
    return final.machine_version_id


def create_instance(
    machine: str,
    instance: str,
    context: JsonObject | None = None,
    *,
    version: str | None = None,
    idempotency_key: str | None = None,
) -> Operation[wire.State]:
    body = wire.CreateInstance(slug=instance, context=context, machine_version_id=version)
    return (
        yield from ask("POST", _machine(machine), wire.State, body=body, is_keyed=True, idempotency_key=idempotency_key)
    )


def get_instance(machine: str, instance: str) -> Operation[wire.State]:
    return (yield from ask("GET", _instance(machine, instance), wire.State))


def get_or_create_instance(
    machine: str, instance: str, context: JsonObject | None = None, *, version: str | None = None
) -> Operation[wire.State]:
    """The instance, created if there is none. Of several callers at once one creates it and all get it."""
    try:
        return (yield from get_instance(machine, instance))
    except NotFound:
        try:
            return (yield from create_instance(machine, instance, context, version=version))
        except InvalidState:
            return (yield from get_instance(machine, instance))


def send(
    machine: str, instance: str, event: JsonObject | str, *, idempotency_key: str | None = None
) -> Operation[wire.State]:
    path = f"{_instance(machine, instance)}/events"
    body = wire.SendEvent(event=event)
    return (yield from ask("POST", path, wire.State, body=body, is_keyed=True, idempotency_key=idempotency_key))


def list_instances(machine: str, limit: int | None = None) -> Operation[list[wire.InstanceSummary]]:
    return (yield from follow(f"{_machine(machine)}/i", wire.InstancesPage, lambda page: page.instances, limit))


def list_transitions(machine: str, instance: str, limit: int | None = None) -> Operation[list[wire.Transition]]:
    path = f"{_instance(machine, instance)}/events"
    return (yield from follow(path, wire.TransitionsPage, lambda page: page.transitions, limit))


def inspect_instance(machine: str, instance: str) -> Operation[wire.AdminState]:
    return (yield from ask("GET", f"{_instance(machine, instance)}/admin", wire.AdminState))


def set_status(machine: str, instance: str, status: Literal["running", "paused"]) -> Operation[None]:
    return (yield from tell("PUT", f"{_instance(machine, instance)}/status", body=wire.SetStatus(status=status)))


def delete_instance(machine: str, instance: str) -> Operation[None]:
    body = wire.DeleteInstance(
        danger_data_will_be_deleted_forever=True,
        hmac_sha256_of_machine_instance_name_with_machine_name_key=deletion_hmac(machine, instance),
    )
    return (yield from tell("DELETE", _instance(machine, instance), body=body))


def deletion_hmac(machine: str, name: str) -> str:
    """The proof that a deletion is meant: an HMAC of the name, with the machine's name as the key."""
    digest = hmac.new(machine.encode(), name.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _machine(machine: str) -> str:
    return f"/machines/{quote(machine, safe='')}"


def _instance(machine: str, instance: str) -> str:
    return f"{_machine(machine)}/i/{quote(instance, safe='')}"
