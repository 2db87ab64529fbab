"""Who is asking: an API key in `Authorization: Bearer`, or a person on SentryML's pages, for whom incidents asks.

Reading takes the scope `read`, tests and retries take `write`, changing takes `admin`; a person has the scope that
their role has. Routes and channels are for all models: a key for some of them changes and tests none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_common.http.access import InOpenApi, actor_of, check_scope
from sentryml_common.http.internal import CHALLENGE, SIGNATURE, ActingPerson, InternalAccess
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_notifier.http.context import Context, WithContext

KEYED = problem_answers(
    (401, "No API key, or no valid one."),
    (403, "The key lacks the scope that this needs, or has no access to these models."),
    (503, "PostgreSQL does not answer; `Retry-After` says when to try again. Nothing was done."),
)
"""`responses` of every route."""

SCOPE_OF = {"viewer": Scope.READ, "responder": Scope.WRITE, "admin": Scope.ADMIN}
"""By the role of a person: the scope that it has here."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The caller, as it appears among the changes; `rights` says what they may, and for which models."""

    actor: Actor
    rights: ApiKey

    @property
    def models(self) -> tuple[str, ...]:
        """Patterns of the models they may access; none means all."""
        return self.rights.models

    def may_see(self, model_id: str) -> bool:
        """Whether they may know of a model. What is about another is answered as if it were not there."""
        return self.rights.allows_model(model_id)


async def _read(context: WithContext, request: Request, _: InOpenApi) -> Asker:
    if SIGNATURE in request.headers:
        return _person(await _signed_for(context, request))
    key = context.gatekeeper.admit(request.headers.get("Authorization"))
    return Asker(actor_of(key), key)


async def _signed_for(context: Context, request: Request) -> ActingPerson:
    """The person for whom another service of ours asks.

    Raises:
        Problem: 401, it is not signed with our secret, not now, or for nobody.
    """
    if context.internal_secret is None:
        raise _not_signed("this notifier has no SENTRYML_INTERNAL_SECRET, and so takes no requests of other services")
    signed = await InternalAccess(context.internal_secret, context.clock)(request)
    if signed.actor is None:
        raise _not_signed("a signed request has to say for which person it is sent")
    return signed.actor


def _person(person: ActingPerson) -> Asker:
    scope = SCOPE_OF.get(person.role)
    if scope is None:
        raise Problem(403, "forbidden", f"the role {person.role} is not known here: install a newer notifier")
    rights = ApiKey(key_id=person.id, name=person.name, key_hash="", scopes=(scope,))
    return Asker(Actor(type=ActorType.USER, id=person.id, name=person.name), rights)


def _not_signed(why: str) -> Problem:
    return Problem(401, "not-signed", why, headers=CHALLENGE)


def _requiring(scope: Scope, *, all_models: bool = False) -> Callable[[Asker], Awaitable[Asker]]:
    async def check(asker: Annotated[Asker, Depends(_read)]) -> Asker:
        check_scope(asker.rights, scope)
        if all_models and asker.models:
            detail = "routes and channels are for all models: this needs an API key without model patterns"
            raise Problem(403, "forbidden", detail)
        return asker

    return check


Reader = Annotated[Asker, Depends(_read)]
Writer = Annotated[Asker, Depends(_requiring(Scope.WRITE))]
Tester = Annotated[Asker, Depends(_requiring(Scope.WRITE, all_models=True))]
Admin = Annotated[Asker, Depends(_requiring(Scope.ADMIN, all_models=True))]
