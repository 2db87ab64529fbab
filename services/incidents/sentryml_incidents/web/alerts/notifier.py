"""What the pages of alerts ask the notifier, for the person signed in; and the page for when it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Request, Response

from sentryml_common.contracts.internal.notifier_api import (
    AuditResponse,
    ChangeResponse,
    ChannelKindResponse,
    ChannelResponse,
    DeliveryResponse,
    PreviewResponse,
    RouteResponse,
    SystemAlertResponse,
    TrialResponse,
)
from sentryml_common.http.internal import ActingPerson
from sentryml_common.http.paging import Page
from sentryml_common.http.problems import RETRY_AFTER_SECONDS, Problem
from sentryml_incidents.clients.notifier import STARTING, Notifier, NotifierAway, read_answer
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.web.people.session import SignedIn, Visitor
from sentryml_incidents.web.rendering import PageRoute, render
from sentryml_incidents.web.view.alerts import refusal

T = TypeVar("T")


class AlertsRoute(PageRoute):
    """A route of people that needs the notifier."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler; without the notifier it is a page that says so."""
        handle = super().get_route_handler()

        async def handle_or_say_why(request: Request) -> Response:
            try:
                return await handle(request)
            except NotifierAway as err:
                answer = render(request, "alerts/unavailable.html", status=503, why=str(err))
                answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
                return answer

        return handle_or_say_why


def in_words(err: Problem) -> tuple[str, ...]:
    """A refusal of the notifier for a page."""
    return refusal(err.kind, err.detail, err.extra.get("errors"))


@dataclass(frozen=True, slots=True)
class NotifierClient:
    """The notifier, asked for one person. Everything may raise NotifierAway, and Problem for what it refuses."""

    notifier: Notifier
    person: ActingPerson

    async def ask(self, method: str, target: str, body: object = None, if_match: str | None = None) -> Any:
        """Anything at all."""
        return await self.notifier.ask(self.person, method, target, body, if_match)

    async def routes(self) -> list[RouteResponse]:
        """All routes, in order of evaluation."""
        return (await self._page(RouteResponse, "/v1/routes")).items

    async def channels(self) -> list[ChannelResponse]:
        """All channels, by name."""
        return (await self._page(ChannelResponse, "/v1/channels")).items

    async def kinds(self) -> list[ChannelKindResponse]:
        """The kinds of channels there are; the quickest to set up comes first."""
        return (await self._page(ChannelKindResponse, "/v1/channel-kinds")).items

    async def route(self, route_id: UUID) -> RouteResponse:
        """One route."""
        return read_answer(RouteResponse, await self._known("GET", f"/v1/routes/{route_id}"))

    async def deliveries(self, **query: object) -> Page[DeliveryResponse]:
        """Deliveries, newest first; `query` as the notifier takes it, without what is None."""
        return await self._page(DeliveryResponse, "/v1/deliveries", **query)

    async def changes(self, **query: object) -> Page[ChangeResponse]:
        """Changes, newest first."""
        return await self._page(ChangeResponse, "/v1/changes", **query)

    async def audit(self) -> AuditResponse | None:
        """The last audit; None while there is none."""
        try:
            return read_answer(AuditResponse, await self.ask("GET", "/v1/audit"))
        except NotifierAway:
            return None

    async def system_alerts(self) -> list[SystemAlertResponse]:
        """What of SentryML does not work, then what did not."""
        return (await self._page(SystemAlertResponse, "/v1/system-alerts")).items

    async def preview(self, model_id: str, severity: str) -> PreviewResponse:
        """Where an alarm would go."""
        asked = {"model_id": model_id, "severity": severity}
        return read_answer(PreviewResponse, await self.ask("POST", "/v1/routes:preview", asked))

    async def test(self, channel_id: UUID) -> TrialResponse:
        """Send a test message."""
        return read_answer(TrialResponse, await self._known("POST", f"/v1/channels/{channel_id}:test"))

    async def retry(self, delivery_id: UUID) -> None:
        """Try a delivery again now."""
        await self._known("POST", f"/v1/deliveries/{delivery_id}:retry")

    async def _known(self, method: str, target: str) -> Any:
        """An answer about one thing; that it is not there is said in texts for people."""
        try:
            return await self.ask(method, target)
        except Problem as err:
            raise Problem(err.status, err.kind, " ".join(in_words(err))) from err

    async def _page(self, form: type[T], path: str, **query: object) -> Page[T]:
        asked = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        return read_answer(Page[form], await self.ask("GET", f"{path}?{asked}" if asked else path))  # type: ignore[valid-type]


def notifier_for(context: Context, visitor: Visitor) -> NotifierClient:
    """The notifier, asked for the person signed in.

    Raises:
        NotifierAway: the service is starting.
    """
    if context.notifier is None:
        raise NotifierAway(STARTING)
    user = visitor.user
    return NotifierClient(context.notifier, ActingPerson(str(user.user_id), user.name, user.role.value))


async def _notifier_for_visitor(context: WithContext, visitor: SignedIn) -> NotifierClient:
    return notifier_for(context, visitor)


WithNotifier = Annotated[NotifierClient, Depends(_notifier_for_visitor)]
"""What a route asks the notifier with; it comes after who may use the route, who is checked first."""
