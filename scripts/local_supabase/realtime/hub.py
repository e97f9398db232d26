"""Topics and their members. A message is sent to all members, and encoded once for each protocol version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from scripts.local_supabase.realtime.limits import Limits, Rate
from scripts.local_supabase.realtime.presence import Metas, Presence
from scripts.local_supabase.realtime.wire import AnyBroadcast, Frame, Serializer


class Member(Protocol):
    """What a topic needs from a joined channel."""

    @property
    def serializer(self) -> Serializer: ...
    def receives(self, message: AnyBroadcast) -> bool: ...
    def deliver(self, message: AnyBroadcast, frame: Frame) -> None: ...
    def push_presence(self, event: str, payload: object) -> None: ...
    def shut_down(self, reason: str) -> None: ...


class Topic:
    """The members of a topic. A public and a private topic of the same name have nothing in common."""

    def __init__(self, name: str) -> None:
        self.wire_name = f"realtime:{name}"
        self.members: dict[Member, None] = {}
        self.presence = Presence()


class Hub:
    """All topics of the project, and its message rates."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.messages = Rate(limits.messages_per_second)
        self.joins = Rate(limits.joins_per_second)
        self.presence_messages = Rate(limits.presence_messages_per_second)
        self._topics: dict[tuple[str, bool], Topic] = {}

    def enter(self, name: str, private: bool, member: Member) -> None:
        self._topics.setdefault((name, private), Topic(name)).members[member] = None

    def leave(self, name: str, private: bool, member: Member, presence_key: str) -> None:
        topic = self._topics.get((name, private))
        if topic is None:
            return
        topic.members.pop(member, None)
        self.announce(name, private, topic.presence.untrack(member, presence_key))
        if not topic.members:
            del self._topics[name, private]

    def broadcast(self, name: str, private: bool, message: AnyBroadcast, *, sender: Member | None = None) -> None:
        """Send the message to every member except `sender`. Members beyond the project's limit are shut down."""
        self.messages.add()
        topic = self._topics.get((name, private))
        if topic is None:
            return
        frames: dict[int, Frame | None] = {}
        delivered = []
        for member in topic.members:
            if member is sender or not member.receives(message):
                continue
            version = id(member.serializer)
            if version not in frames:
                frames[version] = member.serializer.broadcast(topic.wire_name, message)
            if (frame := frames[version]) is not None:
                member.deliver(message, frame)
                delivered.append(member)
        self.messages.add(len(delivered))
        if self.messages.exceeded:
            _shut_down(delivered, "Too many messages per second")

    def presence(self, name: str, private: bool) -> Presence | None:
        topic = self._topics.get((name, private))
        return None if topic is None else topic.presence

    def announce(self, name: str, private: bool, difference: dict[str, Metas] | None) -> None:
        """Tell every member of the topic how the presences have changed."""
        topic = self._topics.get((name, private))
        if topic is None or difference is None:
            return
        for member in tuple(topic.members):
            member.push_presence("presence_diff", difference)
        self.presence_messages.add(len(topic.members))


def _shut_down(members: Iterable[Any], reason: str) -> None:
    for member in members:
        member.shut_down(reason)
