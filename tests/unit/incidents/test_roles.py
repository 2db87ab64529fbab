"""Who may do what: the table, written out."""

from __future__ import annotations

import pytest

from sentryml_incidents.domain.roles import MEANS, Permission, Role, may, who_may


@pytest.mark.parametrize(
    ("role", "read", "respond", "administer"),
    [(Role.VIEWER, True, False, False), (Role.RESPONDER, True, True, False), (Role.ADMIN, True, True, True)],
)
def test_each_role_may_what_the_table_says(role: Role, read: bool, respond: bool, administer: bool) -> None:
    requested = (Permission.READ, Permission.RESPOND, Permission.ADMINISTER)
    assert tuple(may(role, permission) for permission in requested) == (read, respond, administer)


def test_roles_are_named_to_who_lacks_them() -> None:
    assert who_may(Permission.RESPOND) == "responder or admin"
    assert who_may(Permission.ADMINISTER) == "admin"
    assert set(MEANS) == set(Role)
