"""``POST /tokens``: a token of somebody else's for one of ours (RFC 8693).

The audience names an org and a service. An identity provider of the org has to vouch for the subject token; what its
mapping makes of the claims, the mapping of the service's token provider makes into the ``act`` claim of a token that is
signed with the token provider's key and so may do what that key may. It is good for an hour, however long the subject
token is.

Anybody can sign an anonymous session, so what vouches for one is of use for the anonymous service and for no other: a
service that an org made for people it knows never takes a stranger for one of them.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs

from starlette.routing import Route

from perdure import wire_access
from perdure.durable.records import IdentityProviderRecord, TokenProviderRecord
from perdure.errors import InvalidParameter, InvalidToken
from perdure.server.anonymous import ANONYMOUS_SERVICE, is_anonymous
from perdure.server.answer import Answer, ok
from perdure.server.claim_mapping import apply_mapping
from perdure.server.problems import ExchangeRefused, OrgMismatch
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services
from perdure.tokens import sign_token
from perdure.wire import ORG_HEADER

__all__ = ["routes"]

_FORM_BYTES_MAX = 65_536
_FORM_FIELDS_MAX = 32
_LIFETIME = timedelta(hours=1)
_PROVIDERS_MAX = 1_000


def routes(services: Services) -> list[Route]:
    return [Route("/tokens", Resource(services, POST=Operation(exchange_token, ())))]


async def exchange_token(call: Call) -> Answer:
    services = call.services
    form = await _form(call)
    _expect(form, "grant_type", wire_access.TOKEN_EXCHANGE)
    if "requested_token_type" in form:
        _expect(form, "requested_token_type", wire_access.ACCESS_TOKEN_TYPE)
    org, service = _audience(form)
    named = call.header(ORG_HEADER)
    if named is not None and named != org:
        raise OrgMismatch(f"the audience is of the org {org}, the header names {named}")
    subject_token = form.get("subject_token", "")
    if not subject_token:
        raise InvalidParameter("the form has no subject_token", "subject_token")
    token_provider = await services.runtime.store.token_provider(org, service)
    if token_provider is None:
        raise ExchangeRefused("there is no such service in this org")
    identity_providers = [
        provider
        for provider in await _identity_providers(services, org)
        if service == ANONYMOUS_SERVICE or not is_anonymous(provider)
    ]
    identity, claims = await services.identity_tokens.verify(subject_token, identity_providers)
    try:
        act = apply_mapping(token_provider.mapping, apply_mapping(identity.mapping, claims))
    except RecursionError as error:
        raise ExchangeRefused("the subject token's claims are nested too deeply") from error
    return ok(await _signed(services, token_provider, act))


async def _signed(
    services: Services, provider: TokenProviderRecord, act: dict[str, object]
) -> wire_access.ExchangedToken:
    try:
        key = await services.authenticator.opened_key(provider.key_id, org=provider.org)
    except InvalidToken as error:
        raise ExchangeRefused("the key of this service was deleted: give it another one") from error
    token = sign_token(key.id, key.secret, act, now=services.clock.now(), expires_in=_LIFETIME)
    return wire_access.ExchangedToken(access_token=token, expires_in=int(_LIFETIME.total_seconds()))


async def _form(call: Call) -> dict[str, str]:
    """The fields of an URL-encoded form, each given once. Raises ``InvalidParameter``."""
    try:
        text = (await call.raw_body(_FORM_BYTES_MAX)).decode()
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_FORM_FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise InvalidParameter("the body is not an URL-encoded form", "body") from error
    repeated = sorted(name for name, values in fields.items() if len(values) > 1)
    if repeated:
        raise InvalidParameter(f"the form has {repeated[0]} more than once", repeated[0])
    return {name: values[0] for name, values in fields.items()}


def _expect(form: dict[str, str], field: str, value: str) -> None:
    if form.get(field) != value:
        raise InvalidParameter(f"{field} has to be {value}", field)


def _audience(form: dict[str, str]) -> tuple[str, str]:
    """The org and the service of the audience."""
    prefix = f"{wire_access.EXCHANGE_AUDIENCE}/"
    audience = form.get("audience", "")
    org, _, service = audience.removeprefix(prefix).partition("/")
    if not audience.startswith(prefix) or not org or not service or "/" in service:
        raise InvalidParameter(f"the audience has to be {prefix}<org>/<service>", "audience")
    return org, service


async def _identity_providers(services: Services, org: str) -> list[IdentityProviderRecord]:
    page = await services.runtime.store.list_identity_providers(org, cursor=None, limit=_PROVIDERS_MAX)
    return list(page.rows)
