"""Every page, once: a new page needs a row here, and all that holds for pages is tested of it."""

from __future__ import annotations

from dataclasses import dataclass

from sentryml_incidents.domain.roles import Role
from tests.browser.scene import LONGEST, Scene


@dataclass(frozen=True, slots=True)
class Page:
    """A page as somebody sees it; None is a visitor who has not signed in. In `path`, {open} and the like are numbers
    of the scene's incidents, {rosa} and the like ids of its users."""

    name: str
    path: str
    role: Role | None = Role.ADMIN
    status: int = 200

    def of(self, scene: Scene) -> str:
        """Its address."""
        return scene.url + self.path.format_map({**scene.numbers, **scene.user_ids})


PAGES = (
    Page("sign-in", "/sign-in", role=None),
    Page("overview", "/models"),
    Page("overview-empty", "/models?search=nothing-like-this"),
    Page("model", "/models/checkout-fraud"),
    Page("model-longest", f"/models/{LONGEST}", role=Role.VIEWER),
    Page("model-with-reference", "/models/pricing", role=Role.RESPONDER),
    Page("model-just-seen", "/models/just-seen"),
    Page("monitor", "/models/checkout-fraud/monitor", role=Role.RESPONDER),
    Page("monitor-of-a-viewer", "/models/checkout-fraud/monitor", role=Role.VIEWER),
    Page("delete-model", "/models/quiet/delete"),
    Page("incidents", "/incidents"),
    Page("incidents-empty", "/incidents?undeliverable=true"),
    Page("incident", "/incidents/{open}", role=Role.RESPONDER),
    Page("incident-longest", "/incidents/{longest}", role=Role.RESPONDER),
    Page("incident-acknowledged", "/incidents/{acknowledged}", role=Role.RESPONDER),
    Page("incident-resolved", "/incidents/{resolved}"),
    Page("incident-slow-drift", "/incidents/{slow}"),
    Page("incident-of-a-viewer", "/incidents/{open}", role=Role.VIEWER),
    Page("alerts", "/alerts"),
    Page("alerts-of-a-viewer", "/alerts", role=Role.VIEWER),
    Page("new-channel", "/alerts/channels/new"),
    Page("new-route", "/alerts/routes/new"),
    Page("deliveries", "/alerts/deliveries"),
    Page("alert-changes", "/alerts/changes"),
    Page("unreadable-records", "/alerts/unreadable"),
    Page("keys", "/keys"),
    Page("users", "/users"),
    Page("user", "/users/{rosa}"),
    Page("account", "/account", role=Role.VIEWER),
    Page("not-found", "/incidents/999999", status=404),
    Page("forbidden", "/keys", role=Role.VIEWER, status=403),
)
