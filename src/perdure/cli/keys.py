"""``perdure keys``: the keys that sign tokens.

Over HTTP they need a token whose key may manage keys. The first key of all cannot be made that way: ``--store`` works
on the store itself, and needs its master key instead of a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from perdure import wire
from perdure.cli.connection import Session, connected
from perdure.cli.output import shown_time
from perdure.clock import SystemClock
from perdure.entropy import SystemEntropy
from perdure.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    from perdure.durable.store import Store

__all__ = ["app"]

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Keys, which sign tokens.")

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Work on this store itself while no server uses it, without a token."),
]
Use = Literal["production", "ci"]


@app.command("create")
@connected
def create_key(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    use: Annotated[Use | None, typer.Option("--use", help="A usual set of scopes.")] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="One scope; may be repeated.")] = None,
    store: StoreOption = None,
) -> None:
    """Create a key and show its secret, which nothing ever shows again.

    A key made with --store has every scope unless --use or --scope say otherwise.
    """
    from perdure.tokens import KEY_USES, SCOPES

    if use is not None and scope:
        raise InvalidParameter("give --use or --scope, not both", "scope")
    unknown = sorted(set(scope or []) - SCOPES)
    if unknown:
        raise InvalidParameter(f"no such scope: {', '.join(unknown)}. There are: {', '.join(sorted(SCOPES))}", "scope")
    if store is not None:
        scopes = KEY_USES[use] if use is not None else tuple(scope or sorted(SCOPES))
        created = _in_store(store, _creation(name, scopes, store))
    elif use is None and not scope:
        raise InvalidParameter("say what the key may do: --use production, --use ci, or --scope SCOPE", "scope")
    else:
        with session.client() as client:
            created = client.create_key(name, scopes=scope or [], use=use)
    session.out.answer(created, f"PERDURE_KEY_ID={created.id}", f"PERDURE_KEY_SECRET={created.key}")


@app.command("list")
@connected
def list_keys(session: Session, store: StoreOption = None) -> None:
    """List the keys, without their secrets."""
    if store is not None:
        keys = _in_store(store, _listed)
    else:
        with session.client() as client:
            keys = client.list_keys()
    session.out.table(
        keys,
        ["key", "name", "created", "scopes"],
        ([key.id, key.name, shown_time(key.created_at), " ".join(key.scopes)] for key in keys),
    )


@app.command("rotate-master")
def rotate_master(
    store: Annotated[str, typer.Option("--store", metavar="URL", help="The store, which no server may have open.")],
) -> None:
    """Change the master key, and seal the secrets of all keys and identity providers for the new one.

    The master key beside the database is replaced by a fresh one. One that comes from PERDURE_MASTER_KEY is replaced by
    the one in PERDURE_NEW_MASTER_KEY. Backups from before can only be read with the key of before.
    """
    from perdure.cli.master_key import rotate_master_key
    from perdure.cli.output import say

    changed = asyncio.run(rotate_master_key(store, SystemEntropy()))
    say(f"{changed} secrets are sealed for the new master key")


@app.command("delete")
@connected
def delete_key(
    session: Session,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, sbk_….")],
    store: StoreOption = None,
) -> None:
    """Delete a key: every token that it signed is refused from then on."""
    if store is not None:
        _in_store(store, _deletion(key))
    else:
        with session.client() as client:
            client.delete_key(key)
    session.out.answer({"id": key, "deleted": True}, f"deleted {key}")


def _in_store(store_url: str, work: Callable[[Store, str], Awaitable[T]]) -> T:
    """Run ``work`` on an open store and the id of its org. Raises ``StoreError`` while a server has it open."""
    from perdure.bootstrap import ensure_default_org, open_store

    async def main() -> T:
        async with open_store(store_url) as store:
            return await work(store, await ensure_default_org(store, SystemClock()))

    return asyncio.run(main())


def _creation(name: str, scopes: tuple[str, ...], store_url: str) -> Callable[[Store, str], Awaitable[wire.CreatedKey]]:
    from perdure.bootstrap import require_master_key
    from perdure.server.secrets import SecretBox, new_key

    entropy = SystemEntropy()
    secret_box = SecretBox(require_master_key(store_url), entropy)

    async def create(store: Store, org: str) -> wire.CreatedKey:
        record, pair = new_key(
            org=org, name=name, scopes=scopes, now=SystemClock().now(), entropy=entropy, secret_box=secret_box
        )
        await store.create_key(record)
        return wire.CreatedKey(id=pair.id, key=pair.secret)

    return create


async def _listed(store: Store, org: str) -> list[wire.Key]:
    keys: list[wire.Key] = []
    cursor: str | None = None
    while True:
        page = await store.list_keys(org, cursor=cursor, limit=100)
        keys.extend(
            wire.Key(id=key.id, name=key.name, scopes=key.scopes, created_at=wire.wire_time(key.created_at))
            for key in page.rows
        )
        cursor = page.cursor
        if cursor is None:
            return keys


def _deletion(key_id: str) -> Callable[[Store, str], Awaitable[None]]:
    async def delete(store: Store, org: str) -> None:
        if not await store.delete_key(org, key_id):
            raise NotFound(f"there is no key {key_id}")

    return delete
