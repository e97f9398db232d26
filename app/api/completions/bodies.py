"""What is sent to the surface of OpenAI's API, and what of it is asked. Docstrings stand in the OpenAPI document.

The fields are OpenAI's. Those that change nothing here are taken and left aside; those that ask for what there is not
are refused by name; others are mistakes. Messages may have further fields: clients send back what they were answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from app.api.mistakes import shortened
from app.api.views import described
from app.errors import InvalidRequest, ParameterUnsupported
from app.values import (
    ChatRequest,
    JsonSchema,
    Message,
    NamedTool,
    ReasoningEffort,
    ResponseFormat,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)

MAX_TOOLS = 128
MAX_STOPS = 4
MAX_INPUTS = 2048
IGNORED = described("Taken, and without effect here.")
JsonObject = Annotated[dict[str, Any], described("A JSON object.")]
JsonSchemaObject = Annotated[dict[str, Any], described("A JSON schema.")]
UNSUPPORTED = described("Not supported: only the value that means the same as leaving it out is taken.")

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: dict[Effort, ReasoningEffort] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""A model's own steps are fewer, or others."""
MEANS_NOTHING: dict[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"], []),
    "moderation": (),
    "n": (1,),
    "prediction": (),
    "top_logprobs": (0,),
    "web_search_options": (),
}
"""What is not supported, with the values that mean the same as leaving it out. An empty object may ask for something:
OpenAI searches the web with empty `web_search_options`."""
Tokens = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
ModelName = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=200, description="`auto`, a provider, a model, or both with a slash between them."
    ),
]


class Lenient(msgspec.Struct):
    """A part of a request that may have further fields: they are left aside."""


class ContentPart(Lenient):
    """A part of a message: text, or what the assistant refused to write."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Lenient):
    """The function of a tool call, with its arguments as JSON text."""

    name: str
    arguments: str


class SentToolCall(Lenient):
    """A tool call that the assistant has made."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class ChatMessage(Lenient):
    """A message of the prompt. What the assistant has thought may be sent back; `name` and further fields are left
    aside."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Annotated[str | list[ContentPart] | None, described("Text, or parts that are text.")] = None
    tool_calls: list[SentToolCall] | None = None
    tool_call_id: Annotated[str | None, described("The tool call whose result this message is.")] = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    function_call: Annotated[JsonObject | None, UNSUPPORTED] = None


class FunctionTool(Lenient):
    """A function that the model may call."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[a-zA-Z0-9_.-]+$")]
    description: str | None = None
    parameters: JsonSchemaObject | None = None
    strict: bool | None = None


class OfferedTool(Lenient):
    """A tool of the type `function`; there is no other."""

    type: Literal["function"]
    function: FunctionTool


class ToolName(Lenient):
    """The name of a function."""

    name: str


class ChosenTool(Lenient):
    """The tool that the model must call."""

    type: Literal["function"]
    function: ToolName


class SchemaOfReply(Lenient):
    """The JSON schema that the text of the reply has to match."""

    name: str
    schema: JsonSchemaObject | None = None
    description: str | None = None
    strict: bool | None = None


class FormatOfReply(Lenient):
    """What the text of the reply is."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaOfReply | None = None


class StreamOptions(Lenient):
    """Options of a streamed reply."""

    include_usage: Annotated[
        bool | None, described("End with a chunk that has `usage` and no choices; until then `usage` is null.")
    ] = None


class ChatCompletionRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A chat completion to write."""

    model: ModelName
    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Tokens | None = None
    max_tokens: Annotated[Tokens | None, described("An older name of `max_completion_tokens`.")] = None
    reasoning_effort: Effort | None = None
    stop: str | list[str] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, msgspec.Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, msgspec.Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    tools: Annotated[list[OfferedTool], msgspec.Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: FormatOfReply | None = None

    metadata: Annotated[JsonObject | None, IGNORED] = None
    prompt_cache_key: Annotated[str | None, IGNORED] = None
    prompt_cache_options: Annotated[JsonObject | None, IGNORED] = None
    prompt_cache_retention: Annotated[str | None, IGNORED] = None
    safety_identifier: Annotated[str | None, IGNORED] = None
    service_tier: Annotated[str | None, IGNORED] = None
    store: Annotated[bool | None, IGNORED] = None
    user: Annotated[str | None, IGNORED] = None
    verbosity: Annotated[str | None, IGNORED] = None

    audio: Annotated[JsonObject | None, UNSUPPORTED] = None
    function_call: Annotated[str | JsonObject | None, UNSUPPORTED] = None
    functions: Annotated[list[JsonObject] | None, UNSUPPORTED] = None
    logit_bias: Annotated[JsonObject | None, UNSUPPORTED] = None
    logprobs: Annotated[bool | None, UNSUPPORTED] = None
    modalities: Annotated[list[str] | None, UNSUPPORTED] = None
    moderation: Annotated[JsonObject | None, UNSUPPORTED] = None
    n: Annotated[int | None, UNSUPPORTED] = None
    prediction: Annotated[JsonObject | None, UNSUPPORTED] = None
    top_logprobs: Annotated[int | None, UNSUPPORTED] = None
    web_search_options: Annotated[JsonObject | None, UNSUPPORTED] = None

    def asked(self) -> ChatRequest:
        """What it asks; the name of the model is as it was sent. Raises `InvalidRequest`, and `ParameterUnsupported`
        for what there is not."""
        self._check_supported()
        tools = tuple(
            Tool(tool.function.name, tool.function.description, tool.function.parameters, tool.function.strict)
            for tool in self.tools or ()
        )
        return ChatRequest(
            self.model,
            prompt_of(self.messages),
            self.max_completion_tokens or self.max_tokens,
            reasoning=None if self.reasoning_effort is None else EFFORTS[self.reasoning_effort],
            tools=tools,
            tool_choice=self._choice(tools),
            parallel_tool_calls=self.parallel_tool_calls if tools else None,
            response_format=self._format(),
            sampling=Sampling(
                stop=self._stops(),
                temperature=self.temperature,
                top_p=self.top_p,
                seed=self.seed,
                presence_penalty=self.presence_penalty,
                frequency_penalty=self.frequency_penalty,
            ),
        )

    def _check_supported(self) -> None:
        for name, harmless in MEANS_NOTHING.items():
            value = getattr(self, name)
            if value is not None and value not in harmless:
                instead = "; send `tools`" if name.startswith("function") else ""
                raise ParameterUnsupported(f"{name}: not supported{instead}.", parameter=name)

    def _stops(self) -> tuple[str, ...]:
        stops = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        if len(stops) > MAX_STOPS or not all(stops):
            raise InvalidRequest(f"stop: expected at most {MAX_STOPS} texts, none of them empty.")
        return stops

    def _choice(self, tools: Sequence[Tool]) -> ToolChoice | None:
        choice = self.tool_choice
        if isinstance(choice, ChosenTool):
            if choice.function.name not in {tool.name for tool in tools}:
                raise InvalidRequest("tool_choice: expected the name of one of the tools.")
            return NamedTool(choice.function.name)
        if not tools:
            if choice == "required":
                raise InvalidRequest("tool_choice: `required` needs tools.")
            return None
        return choice

    def _format(self) -> ResponseFormat | None:
        wanted = self.response_format
        if wanted is None:
            return None
        if wanted.type != "json_schema":
            return wanted.type
        if wanted.json_schema is None:
            raise InvalidRequest("response_format.json_schema: missing; expected an object.")
        schema = wanted.json_schema
        return JsonSchema(schema.name, schema.schema or {}, schema.description, schema.strict)


class EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Texts to make vectors of."""

    model: ModelName
    input: Annotated[
        str | list[str | int | list[int]],
        described("A text, or a list of at most 2,048 texts. Lists of tokens are not supported."),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user: Annotated[str | None, IGNORED] = None

    def texts(self) -> list[str]:
        """Raises `InvalidRequest`."""
        found = [self.input] if isinstance(self.input, str) else self.input
        texts = [text for text in found if isinstance(text, str)]
        if len(texts) < len(found):
            raise InvalidRequest("input: expected text or a list of texts; lists of tokens are not supported.")
        if not texts or len(texts) > MAX_INPUTS:
            raise InvalidRequest(f"input: expected a list of 1 to {MAX_INPUTS} texts, got {len(texts)}.")
        if not all(texts):
            place = "" if isinstance(self.input, str) else f"[{texts.index('')}]"
            raise InvalidRequest(f"input{place}: expected text that is not empty.")
        return texts


def prompt_of(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The prompt: system text first, whichever role and place it has in the request. Raises `InvalidRequest`."""
    said = [(path, message) for path, message in _messages(messages) if not _is_blank(message)]
    if not said:  # the operator's text alone is no question
        raise InvalidRequest("messages: expected at least one with text; all of them are blank.")
    _check_results(said)
    system = [message for _, message in said if message.role == "system"]
    turns = [message for _, message in said if message.role != "system"]
    if not turns:  # models answer a message, not instructions alone
        return (*system[:-1], Message("user", system[-1].content))
    return (*system, *turns)


def _is_blank(message: Message) -> bool:
    return not (message.content.strip() or message.tool_calls or message.role == "tool")


def _check_results(said: Iterable[tuple[str, Message]]) -> None:
    """Raises `InvalidRequest` unless each tool call has one result before the assistant speaks again: providers refuse
    anything else, in words that name tools."""
    waiting: Counter[str] = Counter()
    calling, answering = "", False
    for path, message in said:
        if message.role == "assistant":
            if answering:
                _check_none(waiting, calling)
                waiting.clear()
            answering = False
            if message.tool_calls:
                calling = path
                waiting.update(call.id for call in message.tool_calls)
        elif message.role == "tool":
            answering = True
            if not waiting[call_id := message.tool_call_id or ""]:
                raise InvalidRequest(
                    f"{path}.tool_call_id: expected the id of a tool call that the assistant has just made and that "
                    "has no result yet."
                )
            waiting[call_id] -= 1
        elif message.role == "user":
            answering = True
    _check_none(waiting, calling)


def _check_none(waiting: Counter[str], calling: str) -> None:
    if left := list(waiting.elements()):
        raise InvalidRequest(
            f"{calling}.tool_calls: expected a message of the role `tool` for each of them before the assistant's next "
            f"message; {len(left)} without one: {shortened(left[0])}"
        )


def _messages(messages: Sequence[ChatMessage]) -> Iterator[tuple[str, Message]]:
    """Each message with its path in the request."""
    for place, message in enumerate(messages):
        path = f"messages[{place}]"
        text = _text(message, path)
        if message.function_call is not None:
            raise ParameterUnsupported(f"{path}.function_call: not supported; send `tool_calls`.",
                                       parameter=f"{path}.function_call")  # fmt: skip
        if message.role == "assistant":
            calls = tuple(
                ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
            )
            thought = message.reasoning_content or message.reasoning or ""
            yield path, Message("assistant", text or message.refusal or "", calls, reasoning=thought)
        elif message.role == "tool":
            if message.tool_call_id is None:
                raise InvalidRequest(f"{path}.tool_call_id: missing; expected text.")
            yield path, Message("tool", text, tool_call_id=message.tool_call_id)
        else:
            if message.content is None:
                raise InvalidRequest(f"{path}.content: expected text or a list of parts, got null.")
            yield path, Message("user" if message.role == "user" else "system", text)


def _text(message: ChatMessage, path: str) -> str:
    content = message.content
    if isinstance(content, str | None):
        return content or ""
    texts: list[str] = []
    for place, part in enumerate(content):
        text = part.text if part.type == "text" else part.refusal if part.type == "refusal" else None
        if text is None:
            found = f"{path}.content[{place}]"
            if part.type in ("text", "refusal"):
                raise InvalidRequest(f"{found}.{part.type}: missing; expected text.")
            raise ParameterUnsupported(f"{found}: not supported; only parts of the type `text` are.", parameter=found)
        texts.append(text)
    return "\n".join(texts)
