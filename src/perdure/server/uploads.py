"""``/code-uploads``: how code gets in, in two halves with an upload between them.

The first half gives out an id and an address; the code is posted to that address without a token, since the id is the
permission; the second half checks the code by loading it and makes it a version, or a migration. Nothing is visible
before that, and an upload that is never finished expires. Because it is code that this process will run, all three
steps are refused unless the server was started to allow them.
"""

from __future__ import annotations

import zlib
from pathlib import PurePosixPath

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.routing import Route

from perdure.durable.records import UploadRecord
from perdure.errors import CodeUploadDisabled, InvalidParameter, InvalidState, MachineCodeError, NotFound
from perdure.server.answer import Answer, no_content
from perdure.server.problems import BodyTooLarge
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["begin_upload", "refuse_unless_allowed", "routes", "uploaded_source", "wants_gzip"]

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
    return [Route(_UPLOAD_PATH, Resource(services, POST=Operation(receive_code, ())))]


def refuse_unless_allowed(services: Services) -> None:
    if not services.settings.allow_code_upload:
        raise CodeUploadDisabled("this server does not accept machine code: start it with code upload allowed")


def wants_gzip(call: Call) -> bool:
    """Whether ``?gzip``, with or without a value, announces gzipped code."""
    return call.query("gzip") not in (None, "false", "0")


async def begin_upload(call: Call, upload: UploadRecord) -> tuple[str, dict[str, str]]:
    """The first half: where the code is to be posted, and with which fields."""
    await call.services.runtime.store.create_upload(upload)
    return _public_url(call) + _UPLOAD_PATH, {_KEY_FIELD: upload.id}


async def receive_code(call: Call) -> Answer:
    """The upload between the halves: a multipart form, the fields that were given out, then the file."""
    services = call.services
    refuse_unless_allowed(services)
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


async def uploaded_source(call: Call, upload_id: str, *, of_migration: bool) -> tuple[UploadRecord, str, str]:
    """What the second half needs: the upload, its source, and what error messages call the file.

    Raises ``NotFound``, ``InvalidState`` when the code has not come yet, ``InvalidParameter``, ``BodyTooLarge``,
    ``MachineCodeError``.
    """
    upload = await _open_upload(call.services, upload_id)
    is_migration = upload.from_version_id is not None
    if (upload.org, upload.machine, is_migration) != (call.org, call.machine, of_migration):
        raise NotFound("there is no such upload")
    if upload.code is None or upload.file_name is None:
        raise InvalidState("the code was not uploaded yet: post it to the codeUploadUrl first")
    return upload, _source(upload.code, upload, call.services.settings.code_bytes_max), upload.file_name


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
