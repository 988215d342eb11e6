"""``perdure token``: sign a token here, without asking a server."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.arguments import parse_duration, parse_object
from perdure.cli.connection import Session, connected
from perdure.clock import SystemClock

__all__ = ["token"]


@connected
def token(
    session: Session,
    act: Annotated[
        str, typer.Option("--act", metavar="JSON", help="Whom its bearer acts as: what authorisers see.")
    ] = "{}",
    subject: Annotated[str | None, typer.Option("--sub", metavar="NAME", help="The token's subject.")] = None,
    expires_in: Annotated[str, typer.Option("--expires-in", metavar="TIME", help="90s, 10m, 1h or 30d.")] = "1h",
) -> None:
    """Sign a token with a key and print it."""
    from perdure.tokens import sign_token

    identity = parse_object(act, "--act")
    lifetime = parse_duration(expires_in, "--expires-in")
    key_id, key_secret = session.signing_key()
    signed = sign_token(key_id, key_secret, identity, now=SystemClock().now(), expires_in=lifetime, subject=subject)
    session.out.answer({"token": signed}, signed)
