"""From settings to running things: the only module that knows every adapter.

Stores are named by URL. Key secrets lie in the store sealed with a **master key**, which lies elsewhere: in the
environment (``PERDURE_MASTER_KEY``) or in a file beside the database that only its owner may read. Whoever has the
database but not the master key can sign no token.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from perdure.clock import Clock
from perdure.durable.records import OrgRecord, VersionRecord
from perdure.durable.runtime import Runtime
from perdure.durable.store import Store
from perdure.entropy import Entropy, prefixed_id
from perdure.errors import InvalidParameter
from perdure.machine_files import MachineFile
from perdure.server.secrets import SecretBox
from perdure.server.settings import ServerSettings
from perdure.stores.memory import MemoryStore
from perdure.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = [
    "MASTER_KEY_VARIABLE",
    "Service",
    "create_store",
    "default_org",
    "deploy_machine_file",
    "find_master_key",
    "make_master_key",
    "open_service",
    "open_store",
    "require_master_key",
    "sqlite_path",
]

MASTER_KEY_VARIABLE = "PERDURE_MASTER_KEY"
MASTER_KEY_CHARACTERS_MIN = 32

_SQLITE = "sqlite:///"
_MEMORY = "memory://"


# -- stores ------------------------------------------------------------------------------------------------------------


def create_store(url: str) -> Store:
    """The store that a URL names, not opened yet. Raises ``InvalidParameter`` for one that names none.

    ``sqlite:///data/app.db`` is a path from the working directory, ``sqlite:////var/lib/app.db`` an absolute one,
    ``memory://`` a store that ends with the process.
    """
    if url == _MEMORY:
        return MemoryStore()
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(path)
    scheme = url.partition(":")[0]
    raise InvalidParameter(
        f"{url!r} names no store: there is no scheme {scheme!r}. Say sqlite:///path/to/file.db or memory://", "store"
    )


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite store's URL, or ``None`` for the URL of another kind of store."""
    if not url.startswith("sqlite:"):
        return None
    path = unquote(url.removeprefix(_SQLITE))
    if not url.startswith(_SQLITE) or not path:
        raise InvalidParameter(
            f"{url!r} names no file: say sqlite:///file.db for a path from here, sqlite:////var/lib/file.db for an "
            "absolute one, or memory:// for a store that ends with the process",
            "store",
        )
    return Path(path)


# -- the master key ----------------------------------------------------------------------------------------------------


def find_master_key(store_url: str, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The master key from the environment, or from the file beside the database; ``None`` when there is none.

    Raises ``InvalidParameter`` for a key that is too short, and for a key file that others may read.
    """
    given = environment.get(MASTER_KEY_VARIABLE)
    if given is not None:
        if len(given) < MASTER_KEY_CHARACTERS_MIN:
            raise InvalidParameter(
                f"{MASTER_KEY_VARIABLE} is too short: give it {MASTER_KEY_CHARACTERS_MIN} random characters or more, "
                "such as `openssl rand -base64 32` prints",
                MASTER_KEY_VARIABLE,
            )
        return given.encode()
    path = master_key_path(store_url)
    if path is None or not path.exists():
        return None
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidParameter(f"others may read the master key in {path}: run `chmod 600 {path}`", "master_key")
    return path.read_bytes().strip()


def make_master_key(store_url: str, entropy: Entropy) -> bytes:
    """A fresh master key, kept in the file beside the database (mode 600); of a store in memory it is kept nowhere."""
    key = entropy.secret().encode()
    path = master_key_path(store_url)
    if path is not None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key + b"\n")
    return key


def master_key_path(store_url: str) -> Path | None:
    """The file beside the database that holds its master key; a store in memory has none."""
    database = sqlite_path(store_url)
    return None if database is None else database.with_name(f"{database.name}.key")


def require_master_key(store_url: str) -> bytes:
    """``find_master_key``, or an ``InvalidParameter`` that says how to make one."""
    create_store(store_url)  # a wrong URL is the first thing to say
    key = find_master_key(store_url)
    if key is not None:
        return key
    path = master_key_path(store_url)
    if path is None:
        raise InvalidParameter(
            f"a server over {store_url} would have no key that anybody could sign a token with: "
            "use a store with a file, or `perdure dev --store memory://`",
            "store",
        )
    raise InvalidParameter(
        f"there is no master key for {store_url}, under which the secrets of keys are kept. Make one and back it up: "
        f"`(umask 077; openssl rand -base64 32 > {path})`, or set {MASTER_KEY_VARIABLE} to 32 random characters",
        "master_key",
    )


# -- running things ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything that a running server consists of."""

    store: Store
    runtime: Runtime
    secret_box: SecretBox
    app: Starlette
    org: str
    """The org that what belongs to no other org belongs to."""


@asynccontextmanager
async def open_service(
    store_url: str, *, master_key: bytes, settings: ServerSettings, clock: Clock, entropy: Entropy
) -> AsyncIterator[Service]:
    """A started runtime over a store, and the HTTP application over that; closed in reverse order."""
    from perdure.server.app import create_app

    secret_box = SecretBox(master_key, entropy)
    async with open_runtime(store_url, clock=clock, entropy=entropy) as runtime:
        app = create_app(
            runtime, settings=settings, secret_box=secret_box, clock=clock, entropy=entropy, owns_runtime=False
        )
        org = await default_org(runtime.store, clock=clock, entropy=entropy)
        yield Service(store=runtime.store, runtime=runtime, secret_box=secret_box, app=app, org=org)


@asynccontextmanager
async def open_runtime(store_url: str, *, clock: Clock, entropy: Entropy) -> AsyncIterator[Runtime]:
    """A started runtime over an open store."""
    async with open_store(store_url) as store:
        runtime = Runtime(store, clock=clock, entropy=entropy)
        await runtime.start()
        try:
            yield runtime
        finally:
            await runtime.close()


@asynccontextmanager
async def open_store(store_url: str) -> AsyncIterator[Store]:
    """The store that a URL names, open. Raises ``InvalidParameter`` for such a URL, ``StoreError`` for the rest."""
    store = create_store(store_url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def default_org(store: Store, *, clock: Clock, entropy: Entropy) -> str:
    """The id of the oldest org of a store; of an empty store, one made on the spot."""
    oldest = await store.list_orgs(cursor=None, limit=1)
    if oldest.rows:
        return oldest.rows[0].id
    org = OrgRecord(id=prefixed_id("org", entropy.uuid()), name="default", created_at=clock.now())
    await store.create_org(org)
    return org.id


async def deploy_machine_file(runtime: Runtime, org: str, file: MachineFile) -> tuple[VersionRecord, bool]:
    """The version that a machine file is, as the current one of its machine; and whether it is new.

    The machine is created when it is not there. Nothing happens when its current version has the same source. Raises
    what ``Runtime.deploy`` raises, and then the machine keeps the version it has.
    """
    machine = await runtime.store.machine(org, file.machine)
    if machine is None:
        machine = await runtime.create_machine(org, file.machine)
    if machine.current_version is not None:
        current = await runtime.store.version(machine.current_version)
        if current is not None and current.content_hash == hashlib.sha256(file.source.encode()).hexdigest():
            return current, False
    version = await runtime.deploy(org, file.machine, file.source, file_name=str(file.path), client_info=file.path.name)
    return version, True
