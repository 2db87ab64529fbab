"""A Slack workspace with one bot: messages with their threads, and the methods of the Web API that the bot calls.

Strict where Slack is: tokens, scopes, membership, forms, what an edit keeps, and that a reply to a message that was
deleted becomes a message of its own without a word. Sources: Slack's reference of each method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sentryml_local.slack_stand_in.protocol import OK, answer_to

BOT_USER, BOT_ID, TEAM = "U0SENTRYML", "B0SENTRYML", "T0LOCAL"
SCOPES = frozenset({"chat:write", "channels:history", "users:read", "users:read.email", "connections:write"})
NEEDS = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "users.info": "users:read",
    "apps.connections.open": "connections:write",
}
HISTORY_LIMIT, HISTORY_LIMIT_MAX = 100, 999
EVENT_TYPE_CHARACTERS = 255

Json = Mapping[str, Any]
Body = dict[str, Any]


class NotOk(Exception):
    """A call that is not taken: Slack's word for why."""


@dataclass(slots=True)
class Place:
    """A channel of the workspace, and how it refuses."""

    name: str
    archived: bool = False
    member: bool = True


@dataclass(slots=True)
class Posted:
    """A message as it is now. `thread_ts` is its root; `only_for` is set for what one person alone sees."""

    channel: str
    ts: str
    payload: Body
    metadata: Json | None = None
    thread_ts: str | None = None
    broadcast: bool = False
    edits: int = 0
    only_for: str | None = None

    def shown(self, *, with_metadata: bool) -> Body:
        """As the Web API shows it."""
        more: Body = {"thread_ts": self.thread_ts} if self.thread_ts else {}
        if self.broadcast:
            more["subtype"] = "thread_broadcast"
        if self.edits:
            more["edited"] = {"user": BOT_USER, "ts": self.ts}
        if with_metadata and self.metadata is not None:
            more["metadata"] = dict(self.metadata)
        return {"type": "message", "user": BOT_USER, "bot_id": BOT_ID, "ts": self.ts, **self.payload, **more}


@dataclass(slots=True)
class Workspace:
    """One workspace: who may do what in it, and what was said. `homes` are the workspaces of guests."""

    token: str = "xoxb-stand-in"
    app_token: str = "xapp-stand-in"
    scopes: frozenset[str] = SCOPES
    channels: dict[str, Place] = field(default_factory=lambda: {"C0ALERTS": Place("model-alerts")})
    emails: dict[str, str | None] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    editable: bool = True
    socket_url: str | None = None
    messages: list[Posted] = field(default_factory=list)
    _last: int = 0

    def call(self, method: str, arguments: Json, token: str | None, now: datetime) -> Body:
        """The answer to one call."""
        run = METHODS.get(method)
        try:
            if run is None:
                raise NotOk("unknown_method")
            self._check_token(method, token)
            return {"ok": True, **run(self, arguments, now)}
        except NotOk as err:
            return {"ok": False, "error": str(err)}

    def roots(self, channel: str) -> list[Posted]:
        """Messages of the channel itself, oldest first."""
        return [each for each in self._seen(channel) if each.thread_ts is None]

    def replies(self, root: Posted) -> list[Posted]:
        """Messages of a thread, oldest first."""
        return [each for each in self._seen(root.channel) if each.thread_ts == root.ts]

    def delete(self, channel: str, ts: str) -> None:
        """Somebody deletes a message."""
        self.messages = [each for each in self.messages if (each.channel, each.ts) != (channel, ts)]

    def _seen(self, channel: str) -> list[Posted]:
        return [each for each in self.messages if each.channel == channel and each.only_for is None]

    def _check_token(self, method: str, token: str | None) -> None:
        if token is None:
            raise NotOk("not_authed")
        if token != (self.app_token if method == "apps.connections.open" else self.token):
            raise NotOk("invalid_auth" if token[:5] in ("xoxb-", "xapp-") else "not_allowed_token_type")
        if NEEDS.get(method, "chat:write") not in self.scopes and method != "auth.test":
            raise NotOk("missing_scope")

    def _place(self, arguments: Json, *, to_write: bool) -> str:
        channel = str(arguments.get("channel", ""))
        place = self.channels.get(channel)
        if place is None:
            raise NotOk("channel_not_found")
        if not place.member:
            raise NotOk("not_in_channel")
        if place.archived and to_write:
            raise NotOk("is_archived")
        return channel

    def _find(self, channel: str, ts: str) -> Posted | None:
        return next((each for each in self.messages if (each.channel, each.ts) == (channel, ts)), None)

    def _next_ts(self, now: datetime) -> str:
        """Slack names a message by its time, which never repeats."""
        self._last = max(self._last + 1, int(now.timestamp() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def post_message(self, arguments: Json, now: datetime) -> Body:
        """`chat.postMessage`."""
        channel = self._place(arguments, to_write=True)
        payload = _checked(arguments)
        thread = arguments.get("thread_ts")
        root = self._find(channel, str(thread)) if thread else None
        posted = Posted(channel, self._next_ts(now), payload, _metadata(arguments))
        if root is not None:
            posted.thread_ts = root.thread_ts or root.ts
            posted.broadcast = arguments.get("reply_broadcast") is True
        self.messages.append(posted)
        return {"channel": channel, "ts": posted.ts, "message": posted.shown(with_metadata=True)}

    def post_ephemeral(self, arguments: Json, now: datetime) -> Body:
        """`chat.postEphemeral`."""
        channel = self._place(arguments, to_write=True)
        if arguments.get("user") not in self.emails:
            raise NotOk("user_not_in_channel")
        posted = Posted(channel, self._next_ts(now), _checked(arguments), only_for=str(arguments["user"]))
        self.messages.append(posted)
        return {"message_ts": posted.ts}

    def update(self, arguments: Json, now: datetime) -> Body:
        """`chat.update`: what it does not name stays, but new text alone takes the blocks away."""
        channel = self._place(arguments, to_write=True)
        found = self._find(channel, str(arguments.get("ts", "")))
        if found is None:
            raise NotOk("message_not_found")
        if not self.editable:
            raise NotOk("edit_window_closed")
        kept = {name: value for name, value in found.payload.items() if name == "attachments"}
        found.payload = {**kept, **_checked({**kept, **arguments})}
        found.metadata = _metadata(arguments) or found.metadata
        found.edits += 1
        return {"channel": channel, "ts": found.ts, "text": found.payload["text"]}

    def history(self, arguments: Json, now: datetime) -> Body:
        """`conversations.history`: the newest first, replies only where they are shown in the channel too."""
        channel = self._place(arguments, to_write=False)
        seen = [each for each in self._seen(channel) if each.thread_ts is None or each.broadcast]
        return _page(list(reversed(seen)), arguments)

    def thread(self, arguments: Json, now: datetime) -> Body:
        """`conversations.replies`: the root, then its replies, the oldest first."""
        channel = self._place(arguments, to_write=False)
        root = self._find(channel, str(arguments.get("ts", "")))
        if root is None:
            raise NotOk("thread_not_found")
        page = _page(self.replies(root), arguments)
        with_metadata = _is_true(arguments.get("include_all_metadata"))
        return {**page, "messages": [root.shown(with_metadata=with_metadata), *page["messages"]]}

    def user(self, arguments: Json, now: datetime) -> Body:
        """`users.info`: the address only for who may see addresses."""
        user = str(arguments.get("user", ""))
        if user not in self.emails:
            raise NotOk("user_not_found")
        email = self.emails[user] if "users:read.email" in self.scopes else None
        return {
            "user": {"id": user, "team_id": self.homes.get(user, TEAM), "profile": {"email": email} if email else {}}
        }

    def whoami(self, arguments: Json, now: datetime) -> Body:
        """`auth.test`."""
        return {"team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT_ID}

    def connect(self, arguments: Json, now: datetime) -> Body:
        """`apps.connections.open`: where Socket Mode connects to."""
        if self.socket_url is None:
            raise NotOk("internal_error")
        return {"url": self.socket_url}


METHODS: Mapping[str, Callable[[Workspace, Json, datetime], Body]] = {
    "chat.postMessage": Workspace.post_message,
    "chat.postEphemeral": Workspace.post_ephemeral,
    "chat.update": Workspace.update,
    "conversations.history": Workspace.history,
    "conversations.replies": Workspace.thread,
    "users.info": Workspace.user,
    "auth.test": Workspace.whoami,
    "apps.connections.open": Workspace.connect,
}


def _checked(arguments: Json) -> Body:
    payload = {name: arguments[name] for name in ("text", "blocks", "attachments") if name in arguments}
    answer, _ = answer_to(payload)
    if answer != OK:
        raise NotOk("invalid_arguments" if answer.body == "invalid_payload" else answer.body)
    return payload


def _metadata(arguments: Json) -> Json | None:
    metadata = arguments.get("metadata")
    if metadata is None:
        return None
    fits = isinstance(metadata, dict) and isinstance(metadata.get("event_payload"), dict)
    event_type = metadata.get("event_type") if fits else None
    if not (isinstance(event_type, str) and 0 < len(event_type) <= EVENT_TYPE_CHARACTERS):
        raise NotOk("invalid_metadata_format")
    return dict(metadata)


def _page(messages: list[Posted], arguments: Json) -> Body:
    oldest, place = float(arguments.get("oldest", 0)), int(arguments.get("cursor", 0) or 0)
    limit = min(int(arguments.get("limit", HISTORY_LIMIT)), HISTORY_LIMIT_MAX)
    found = [each for each in messages if float(each.ts) > oldest]
    rest = len(found) > place + limit
    with_metadata = _is_true(arguments.get("include_all_metadata"))
    return {
        "messages": [each.shown(with_metadata=with_metadata) for each in found[place : place + limit]],
        "has_more": rest,
        "response_metadata": {"next_cursor": str(place + limit) if rest else ""},
    }


def _is_true(value: object) -> bool:
    return value in (True, "true", "1", 1)
