"""Characters that cannot be seen, or that turn the reading direction around, are written out on every page."""

from __future__ import annotations

from datetime import timedelta

import httpx
from markupsafe import Markup

from sentryml_common.contracts.activity import CategoryCount, RecentEvent, SignalActivity
from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.evaluation import CategoryBin, Signal
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_common.text import INVISIBLE
from sentryml_incidents.consumers.evaluations import ActivityConsumer
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.people.users import rename_user
from sentryml_incidents.web.rendering import _visible
from tests.integration.incidents.conftest import Life, MakeClient, SignedIn, add_user
from tests.support.signing_in import submit
from tests.unit.incidents.builders import MODEL, MONDAY, an_activity, at, quick

TURNED, WRITTEN_OUT = "late\u202etxt.exe\x1b[31m\u200b\u2066", "late[U+202E]txt.exe[U+001B][31m[U+200B][U+2066]"


async def test_names_categories_and_notes_are_shown_with_what_is_invisible_in_them(
    signed_in: SignedIn, client_with: MakeClient, api: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    bins = (CategoryBin(value=TURNED, baseline_share=0.5, current_share=0.9, contribution=0.4),)
    await life.sees("critical", bins=bins)
    signal = SignalActivity(
        signal=Signal.PREDICTION, numbers=0, categories=3, nulls=0, quantiles=(),
        top_categories=(CategoryCount(value=TURNED, count=3),),
    )  # fmt: skip
    event = RecentEvent(timestamp=MONDAY - timedelta(seconds=1), prediction=TURNED, score=None, event_id=TURNED)
    activity = an_activity(when=at(2)).model_copy(update={"signals": (signal,), "recent": (event,)})
    await ActivityConsumer(pool, quick()).take_all([activity])
    assert (await api.post("/v1/incidents/1/notes", json={"note": TURNED})).status_code == 200
    await client_with(Scope.READ, name=TURNED)
    async with transaction(pool) as connection:
        await rename_user(connection, await add_user(pool, "eve", Role.VIEWER), TURNED)
    ada = await signed_in("ada", Role.ADMIN)
    assert (await submit(ada, "/account", "/account/name", name=TURNED)).status_code == 200
    for path in ("/incidents/1", f"/models/{MODEL}", "/users", "/keys", "/account"):
        page = await ada.get(path)
        assert page.status_code == 200
        found = INVISIBLE.search(page.text)
        assert found is None, (path, page.text[max(0, found.start() - 200) : found.end() + 50])
        assert WRITTEN_OUT in page.text, path


def test_what_is_markup_stays_markup() -> None:
    assert _visible(Markup("<b>a\u202eb</b>")) == Markup("<b>a[U+202E]b</b>")
    assert isinstance(_visible(Markup("<b></b>")), Markup)
    assert _visible(3) == 3
