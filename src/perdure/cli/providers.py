"""``perdure identity-providers`` and ``perdure token-providers``: whose tokens are exchanged, and for which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from perdure.cli.arguments import parse_object
from perdure.cli.connection import Session, connected
from perdure.cli.output import json_text
from perdure.errors import InvalidParameter

if TYPE_CHECKING:
    from perdure.wire_access import SigningAlgorithm

__all__ = ["identity_providers", "token_providers"]

identity_providers = typer.Typer(no_args_is_help=True, help="Identity providers: whose tokens this org exchanges.")
token_providers = typer.Typer(no_args_is_help=True, help="Token providers: how the tokens of a service are made.")

AudOption = Annotated[str | None, typer.Option("--aud", help="The audience that its tokens have.")]
IssOption = Annotated[str | None, typer.Option("--iss", help="The issuer that its tokens have.")]
MappingOption = Annotated[
    str,
    typer.Option(
        "--mapping", metavar="JSON", help='Claims; a key that ends in .$ takes a JSONPath: {"sub.$": "$.sub"}'
    ),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]


@identity_providers.command("list")
@connected
def list_identity_providers(session: Session, limit: LimitOption = None) -> None:
    """List them, without their keys. Needs the scope tokens.admin."""
    with session.client() as client:
        found = client.list_identity_providers(limit)
    session.out.table(
        found,
        ["aud", "iss", "algorithms", "keys", "mapping"],
        (
            [each.aud or "", each.iss or "", " ".join(each.algs), each.jwks_url or "a key", json_text(each.mapping)]
            for each in found
        ),
    )


@identity_providers.command("set")
@connected
def set_identity_provider(
    session: Session,
    alg: Annotated[list[str], typer.Option("--alg", help="An algorithm, such as RS256; may be repeated.")],
    mapping: MappingOption,
    aud: AudOption = None,
    iss: IssOption = None,
    jwks_url: Annotated[str | None, typer.Option("--jwks-url", help="Where its key set is.")] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="A file with its public key as PEM, or with the shared secret.")
    ] = None,
) -> None:
    """Trust a provider, in the place of the one with this --aud and --iss. Needs the scope tokens.admin."""
    if (jwks_url is None) == (key_file is None):
        raise InvalidParameter("give either --jwks-url or --key-file", "key")
    with session.client() as client:
        client.put_identity_provider(
            algs=cast("list[SigningAlgorithm]", alg),  # the server says which there are
            mapping=parse_object(mapping, "--mapping"),
            aud=aud,
            iss=iss,
            key=None if key_file is None else _key(key_file),
            jwks_url=jwks_url,
        )
    session.out.answer({"aud": aud, "iss": iss, "set": True}, "its tokens are exchanged from now on")


@identity_providers.command("delete")
@connected
def delete_identity_provider(session: Session, aud: AudOption = None, iss: IssOption = None) -> None:
    """Trust a provider no more, with immediate effect. Needs the scope tokens.admin."""
    with session.client() as client:
        client.delete_identity_provider(aud=aud, iss=iss)
    session.out.answer({"aud": aud, "iss": iss, "deleted": True}, "its tokens are refused from now on")


@token_providers.command("list")
@connected
def list_token_providers(session: Session, limit: LimitOption = None) -> None:
    """List them. Needs the scope tokens.admin."""
    with session.client() as client:
        found = client.list_token_providers(limit)
    session.out.table(
        found,
        ["service", "key", "mapping"],
        ([each.service, each.key_id, json_text(each.mapping)] for each in found),
    )


@token_providers.command("set")
@connected
def set_token_provider(
    session: Session,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="What callers ask for.")],
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="The key, sbk_…, that signs the tokens.")],
    mapping: MappingOption,
) -> None:
    """Say how the tokens of a service are made. Needs the scope tokens.admin."""
    with session.client() as client:
        client.put_token_provider(service, key_id=key, mapping=parse_object(mapping, "--mapping"))
    session.out.answer({"service": service, "set": True}, f"{service} gives tokens from now on")


@token_providers.command("delete")
@connected
def delete_token_provider(
    session: Session, service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service.")]
) -> None:
    """Give no more tokens for a service. Needs the scope tokens.admin."""
    with session.client() as client:
        client.delete_token_provider(service)
    session.out.answer({"service": service, "deleted": True}, f"{service} gives no more tokens")


def _key(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidParameter(f"cannot read {file}: {error.strerror}", "--key-file") from error
