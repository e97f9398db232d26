"""The frames on the WebSocket: both versions of the protocol, text and binary.

Frames of version 1.0.0 are objects, those of 2.0.0 arrays. Broadcasts between clients of 2.0.0 are binary, with every
length in one byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

PUSH, USER_BROADCAST_PUSH, USER_BROADCAST = 0, 3, 4
_BINARY, _JSON = 0, 1

_encode = msgspec.json.encode


class WireError(ValueError):
    """A frame that violates the protocol; the connection is closed."""


class Frame(NamedTuple):
    """A frame to send over the socket."""

    data: bytes
    binary: bool


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message to a topic. `payload` is JSON, or any bytes if `binary`. `id`: that of its row."""

    event: str
    payload: bytes
    binary: bool = False
    id: str | None = None
    replayed: bool = False

    @property
    def meta(self) -> dict[str, Any] | None:
        if self.id is None:
            return None
        return {"replayed": True, "id": self.id} if self.replayed else {"id": self.id}

    @property
    def size(self) -> int:
        return len(self.payload)


@dataclass(frozen=True, slots=True)
class RawBroadcast:
    """A message that a client has sent as text. It is passed on unchanged, with all its keys."""

    payload: bytes
    id: None = None

    @property
    def size(self) -> int:
        return len(self.payload)


AnyBroadcast = Broadcast | RawBroadcast


class Inbound(NamedTuple):
    """A client's message. `payload` is a `Broadcast` if the message was binary."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: Any


class Serializer(Protocol):
    """One version of the protocol."""

    def decode(self, data: str | bytes) -> Inbound:
        """Decode a client's message. Raises WireError."""
        ...

    def encode(self, join_ref: str | None, ref: str | None, topic: str, event: str, payload: object) -> Frame:
        """Encode a reply or a push to one client."""
        ...

    def broadcast(self, topic: str, message: AnyBroadcast) -> Frame | None:
        """Encode a broadcast: the same bytes for every subscriber. None when this version cannot represent it."""
        ...


class _V1:
    def decode(self, data: str | bytes) -> Inbound:
        if isinstance(data, bytes):
            raise WireError("version 1.0.0 has no binary frames")
        try:
            message = msgspec.json.decode(data)
            return Inbound(
                message.get("join_ref"), message["ref"], message["topic"], message["event"], message["payload"]
            )
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise WireError("expected an object with topic, event, payload and ref") from error

    def encode(self, join_ref: str | None, ref: str | None, topic: str, event: str, payload: object) -> Frame:
        return Frame(_encode({"ref": ref, "topic": topic, "event": event, "payload": payload}), False)

    def broadcast(self, topic: str, message: AnyBroadcast) -> Frame | None:
        payload = _as_json(message)
        return None if payload is None else self.encode(None, None, topic, "broadcast", payload)


class _V2:
    def decode(self, data: str | bytes) -> Inbound:
        if isinstance(data, bytes):
            return _decode_binary(data)
        try:
            join_ref, ref, topic, event, payload, *_ = msgspec.json.decode(data)
        except (msgspec.DecodeError, TypeError, ValueError) as error:
            raise WireError("expected an array of join_ref, ref, topic, event and payload") from error
        return Inbound(join_ref, ref, topic, event, payload)

    def encode(self, join_ref: str | None, ref: str | None, topic: str, event: str, payload: object) -> Frame:
        return Frame(_encode([join_ref, ref, topic, event, payload]), False)

    def broadcast(self, topic: str, message: AnyBroadcast) -> Frame | None:
        if isinstance(message, Broadcast):
            meta = b"" if message.meta is None else _encode(message.meta)
            fields = (topic.encode(), message.event.encode(), meta)
            if max(map(len, fields)) <= 255:
                encoding = _BINARY if message.binary else _JSON
                head = bytes([USER_BROADCAST, *map(len, fields), encoding])
                return Frame(b"".join((head, *fields, message.payload)), True)
        # a name is too long for the binary form
        payload = _as_json(message)
        return None if payload is None else self.encode(None, None, topic, "broadcast", payload)


def _as_json(message: AnyBroadcast) -> object:
    if isinstance(message, RawBroadcast):
        return msgspec.Raw(message.payload)
    if message.binary:
        return None
    payload: dict[str, Any] = {"type": "broadcast", "event": message.event, "payload": msgspec.Raw(message.payload)}
    if message.meta is not None:
        payload["meta"] = message.meta
    return payload


def _decode_binary(data: bytes) -> Inbound:
    if not data or data[0] not in (PUSH, USER_BROADCAST_PUSH):
        raise WireError("unknown kind of binary frame")
    user_broadcast = data[0] == USER_BROADCAST_PUSH
    names = 5 if user_broadcast else 4
    at = 1 + names + user_broadcast
    fields = []
    for length in data[1 : 1 + names]:
        fields.append(data[at : at + length])
        at += length
    if at > len(data) or len(fields) < names:
        raise WireError("a binary frame that is shorter than it says")
    try:
        join_ref, ref, topic, event = (field.decode() for field in fields[:4])
    except UnicodeDecodeError as error:
        raise WireError("a name that is not UTF-8") from error
    payload = data[at:]
    if not user_broadcast:
        return Inbound(join_ref or None, ref or None, topic, event, payload)
    binary = data[6] == _BINARY
    if not binary:
        try:
            msgspec.json.decode(payload, type=msgspec.Raw)
        except msgspec.DecodeError as error:
            raise WireError("a broadcast whose payload is not JSON") from error
    return Inbound(join_ref or None, ref or None, topic, "broadcast", Broadcast(event, payload, binary))


V1: Serializer = _V1()
V2: Serializer = _V2()


def serializer(version: str | None) -> Serializer | None:
    """The serializer of a `vsn`; None when there is no such version."""
    return {None: V1, "1.0.0": V1, "2.0.0": V2}.get(version)
