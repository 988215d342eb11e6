"""``/machines/{machine}/v`` and ``/code-uploads``: bringing code in, in two halves.

The first half gives out an id and an address; the code is posted to that address without a token, since the id is the
permission; the second half checks the code by loading it and makes it a version. Nothing is visible before that, and an
upload that is never finished expires. Because a version is code that this process will run, all three steps are refused
unless the server was started to allow them.
"""

from __future__ import annotations

import zlib
from pathlib import PurePosixPath

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.routing import Route

from perdure import wire
from perdure.durable.records import UploadRecord, VersionRecord
from perdure.entropy import prefixed_id
from perdure.errors import CodeUploadDisabled, InvalidParameter, InvalidState, MachineCodeError, NotFound
from perdure.server.answer import Answer, no_content, ok
from perdure.server.problems import BodyTooLarge
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes", "version_of"]

_FINALIZE = msgspec.json.Decoder(wire.FinalizeVersion)

_UPLOAD_PATH = "/code-uploads"
_KEY_FIELD = "key"
"""The form field with the upload's id: in the form and not in the address, which proxies write into their logs."""

_FORM_FIELDS_MAX = 32
_FORM_FIELD_BYTES_MAX = 8_192
_FORM_OVERHEAD_BYTES_MAX = _FORM_FIELDS_MAX * 1_024
_FILE_NAME_CHARACTERS_MAX = 255
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW_BITS = 31


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
        Route(_UPLOAD_PATH, Resource(services, POST=Operation(receive_code, ()))),
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
    """The first half. ``?gzip``, with or without a value, announces gzipped code."""
    services = call.services
    _refuse_unless_allowed(services)
    if await services.runtime.store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine}")
    upload = UploadRecord(
        id=services.entropy.secret(),
        org=call.org,
        machine=call.machine,
        created_at=services.clock.now(),
        gzip=call.query("gzip") not in (None, "false", "0"),
        version_id=prefixed_id("ver", services.entropy.uuid()),
    )
    await services.runtime.store.create_upload(upload)
    answer = wire.ProvisionalVersion(
        machine_version_id=upload.id,
        code_upload_url=_public_url(call) + _UPLOAD_PATH,
        code_upload_fields={_KEY_FIELD: upload.id},
    )
    return ok(answer)


async def receive_code(call: Call) -> Answer:
    """The upload between the halves: a multipart form, the fields that were given out, then the file."""
    services = call.services
    _refuse_unless_allowed(services)
    settings = services.settings
    receive = call.receive_within(settings.code_bytes_max + _FORM_OVERHEAD_BYTES_MAX)
    form_reader = Request(call.scope, receive).form(
        max_files=1, max_fields=_FORM_FIELDS_MAX, max_part_size=_FORM_FIELD_BYTES_MAX
    )
    async with form_reader as form:
        key, file = form.get(_KEY_FIELD), form.get("file")
        if not isinstance(key, str):
            raise InvalidParameter(f"the form has no field {_KEY_FIELD}", _KEY_FIELD)
        if not isinstance(file, UploadFile):
            raise InvalidParameter("the form has no file named file", "file")
        upload = await _open_upload(services, key)
        code = await file.read()
        bytes_max = settings.gzipped_code_bytes_max if upload.gzip else settings.code_bytes_max
        if len(code) > bytes_max:
            raise BodyTooLarge(f"the code has {len(code)} bytes; at most {bytes_max} are accepted")
        file_name = _file_name(file.filename, upload)
        if not await services.runtime.store.fill_upload(key, code, file_name):
            raise NotFound("there is no such upload")
    return no_content()


async def finalize(call: Call) -> Answer:
    """The second half: the uploaded code becomes a version, if it loads."""
    services = call.services
    _refuse_unless_allowed(services)
    request = await call.body(_FINALIZE, default=wire.FinalizeVersion())
    upload = await _open_upload(services, call.path("signedMachineVersionId"))
    if (upload.org, upload.machine) != (call.org, call.machine):
        raise NotFound("there is no such upload")
    if request.index_selectors:
        raise InvalidParameter("this server keeps no indexes, so it cannot honour selectors", "indexSelectors")
    if upload.code is None or upload.file_name is None:
        raise InvalidState("the code was not uploaded yet: post it to the codeUploadUrl first")
    version = await services.runtime.deploy(
        call.org,
        call.machine,
        _source(upload.code, upload, services.settings.code_bytes_max),
        file_name=upload.file_name,
        client_info=request.client_info,
        make_current=request.make_current,
        version_id=upload.version_id,
    )
    await services.runtime.store.delete_upload(upload.id)
    return ok(wire.FinalVersion(machine_version_id=version.id))


def _refuse_unless_allowed(services: Services) -> None:
    if not services.settings.allow_code_upload:
        raise CodeUploadDisabled("this server does not accept machine code: start it with code upload allowed")


async def _open_upload(services: Services, upload_id: str) -> UploadRecord:
    """An upload that may still be completed. Raises ``NotFound``, and forgets an expired one."""
    upload = await services.runtime.store.upload(upload_id)
    if upload is None:
        raise NotFound("there is no such upload")
    if services.clock.now() >= upload.created_at + services.settings.upload_lifetime:
        await services.runtime.store.delete_upload(upload_id)
        raise NotFound("the upload has expired: start again")
    return upload


def _source(code: bytes, upload: UploadRecord, bytes_max: int) -> str:
    """The text of uploaded code. Raises ``InvalidParameter``, ``BodyTooLarge``, ``MachineCodeError``."""
    # No source text begins with these bytes, so they tell what was sent where the two halves disagree.
    is_gzipped = code.startswith(_GZIP_MAGIC)
    if upload.gzip and not is_gzipped:
        raise InvalidParameter("the code was announced as gzipped and is not", "gzip")
    plain = _unzipped(code, bytes_max) if is_gzipped else code
    try:
        return plain.decode()
    except UnicodeDecodeError as error:
        line = plain.count(b"\n", 0, error.start) + 1
        raise MachineCodeError("the source is not UTF-8", file=upload.file_name or "", line=line) from error


def _unzipped(code: bytes, bytes_max: int) -> bytes:
    """Gzipped code, unzipped no further than its limit, however small the zipped form is."""
    unzipper = zlib.decompressobj(_GZIP_WINDOW_BITS)
    try:
        plain = unzipper.decompress(code, bytes_max + 1)
    except zlib.error as error:
        raise InvalidParameter(f"the code is not valid gzip: {error}", "file") from error
    if len(plain) > bytes_max:
        raise BodyTooLarge(f"the code has more than {bytes_max} bytes unzipped")
    if not unzipper.eof or unzipper.unused_data:
        raise InvalidParameter("the code is not one whole gzip member", "file")
    return plain


def _file_name(sent: str | None, upload: UploadRecord) -> str:
    """What error messages call the file: the last part of the name it was sent under."""
    name = PurePosixPath((sent or "").replace("\\", "/")).name[:_FILE_NAME_CHARACTERS_MAX]
    return name if name and name.isprintable() else f"{upload.machine}.py"


def _public_url(call: Call) -> str:
    """Where callers reach this application, without a slash at the end."""
    public_url = call.services.settings.public_url
    if public_url is None:
        # Not `base_url` as it is: of an app that is mounted in another one that names the outer one.
        public_url = str(Request(call.scope).base_url.replace(path=call.scope.get("root_path", "")))
    return public_url.rstrip("/")


def _version(record: VersionRecord) -> wire.Version:
    return wire.Version(id=record.id, created_at=wire.wire_time(record.created_at), client_info=record.client_info)
