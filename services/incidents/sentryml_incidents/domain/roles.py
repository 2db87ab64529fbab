"""What people may do: the one table of roles."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person is."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a page or a form asks for."""

    READ = "read"
    RESPOND = "respond"
    ADMINISTER = "administer"


PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.RESPONDER: frozenset({Permission.READ, Permission.RESPOND}),
    Role.ADMIN: frozenset(Permission),
}
MEANS: dict[Role, str] = {
    Role.VIEWER: "reads",
    Role.RESPONDER: "reads, acts on incidents and monitors, tests channels",
    Role.ADMIN: "does all that, and manages people, keys, routes and channels",
}


def may(role: Role, permission: Permission) -> bool:
    """Whether a role carries a permission."""
    return permission in PERMISSIONS[role]


def who_may(permission: Permission) -> str:
    """The roles that carry a permission, in words."""
    return " or ".join(role for role in Role if may(role, permission))
