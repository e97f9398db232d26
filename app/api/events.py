"""The events of a reply's stream, as a reader's parser hands them over: a name, an id, and what the JSON holds."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from app.values import Delta, Done, Failed, Reasoning, ReplyUsage, Restart, Sources, Started, Stopped

EventId = Annotated[
    str,
    msgspec.Meta(
        pattern="^[0-9]+$", description="Grows from event to event: the `Last-Event-ID` to go on after this one."
    ),
]


class MessageStartedEvent(msgspec.Struct, tag_field="event", tag="message.started"):
    """Both messages are stored, and this model answers. The first event."""

    id: EventId
    data: Started


class SourcesEvent(msgspec.Struct, tag_field="event", tag="sources"):
    """The passages of the user's documents that the reply may cite, by their place in the list, from 1. `error` is a
    problem code: the search failed in part or as a whole, and the reply is written without what is missing."""

    id: EventId
    data: Sources


class RestartEvent(msgspec.Struct, tag_field="event", tag="restart"):
    """Another model answers; discard the text so far."""

    id: EventId
    data: Restart


class ReasoningEvent(msgspec.Struct, tag_field="event", tag="reasoning"):
    """The next piece of the model's reasoning. It is not part of the text and does not count in `length`."""

    id: EventId
    data: Reasoning


class DeltaEvent(msgspec.Struct, tag_field="event", tag="delta"):
    """The next piece of the reply."""

    id: EventId
    data: Delta


class DoneEvent(msgspec.Struct, tag_field="event", tag="done"):
    """The regular end, and the last event. `length` is that of the stored text, in code points."""

    id: EventId
    data: Done


class StoppedEvent(msgspec.Struct, tag_field="event", tag="stopped"):
    """The end of a reply that was stopped, and the last event. What was written is kept."""

    id: EventId
    data: Stopped


class ErrorEvent(msgspec.Struct, tag_field="event", tag="error"):
    """The end of a reply that failed, and the last event. What was stored is kept: a reader that holds more than
    `length` code points cuts its text to it."""

    id: EventId
    data: Failed


class ReconnectEvent(msgspec.Struct, tag_field="event", tag="reconnect"):
    """This server shuts down: connect again with `Last-Event-ID`, as after a connection that was lost. The event has no
    id."""

    data: Annotated[dict[str, Any], msgspec.Meta(max_length=0)]


ReplyEvent = (
    MessageStartedEvent
    | SourcesEvent
    | RestartEvent
    | ReasoningEvent
    | DeltaEvent
    | DoneEvent
    | StoppedEvent
    | ErrorEvent
    | ReconnectEvent
)

DESCRIPTION = """An event of the stream: `message.started`, then `sources` and `restart` where they apply,
then any number of `reasoning` and `delta`, then exactly one of `done`, `stopped` and `error`. On the wire each is
server-sent events' `id`, `event` and `data`, which is JSON. Lines that begin with a colon keep the connection alive."""

WIRE_DESCRIPTION = """An event of the stream as it is sent: its `data` is text that holds JSON. `ReplyEvent` is the same
event with its `data` parsed."""

_EXAMPLE = (
    (
        1,
        MessageStartedEvent,
        Started(
            conversation_id="0198c6f1-8f43-7b4e-9c55-8b6f2f1c6c11",
            user_message_id="0198c6f1-9a02-7d2a-8a3e-53b1d0f2a7e4",
            message_id="0198c6f1-9a03-7c1f-b0d4-2f6e9c7b1a55",
            provider="openai",
            model="gpt-5-mini",
        ),
    ),
    (15, DeltaEvent, Delta("Hello")),
    (16, DoneEvent, Done("complete", "stop", ReplyUsage(12, 1, cost_micro_usd=5), "openai", "gpt-5-mini", 5)),
)
ON_THE_WIRE = "".join(
    f"id: {number}\nevent: {kind.__struct_config__.tag}\ndata: {msgspec.json.encode(data).decode()}\n\n"
    for number, kind, data in _EXAMPLE
)
