"""Reads the chat completion streams of OpenAI and compatible servers."""

from __future__ import annotations

from typing import Any

import msgspec

from app.errors import (
    AuthenticationRefused,
    ContentFiltered,
    ContextTooLong,
    EmptyReply,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers.failures import failure, innermost, is_error, kind_of_status, words_of
from app.providers.openai.description import NAME
from app.providers.openai.tools import signature_in
from app.providers.wire.calls import NOTHING, Asked, Piece
from app.providers.wire.counts import places
from app.providers.wire.cumulative import Cumulative
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events
from app.providers.wire.parts import text_of
from app.providers.wire.tolerant import first_index

# https://platform.openai.com/docs/guides/error-codes; `exceed_context_size_error` is llama.cpp's
_KINDS: dict[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "rate_limit_exceeded": Throttled,
    "rate_limit_error": Throttled,
    "invalid_api_key": AuthenticationRefused,
    "authentication_error": AuthenticationRefused,
    "model_not_found": ModelNotFound,
    "context_length_exceeded": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "invalid_prompt": ContentFiltered,
    # TGI, inside a stream
    "validation": RequestRefused,
    # Groq: the model called a tool although the request has none
    "tool_use_failed": EmptyReply,
}

# https://platform.minimax.io/docs/api-reference/errorcode
_MINIMAX = {
    1002: "rate_limit_exceeded",
    1004: "invalid_api_key",
    1008: "insufficient_quota",
    1026: "content_filter",
    1027: "content_filter",
    1039: "rate_limit_exceeded",
}


class ErrorBody(msgspec.Struct):
    """The `error` of an answer or of an event."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    """Servers other than OpenAI put the HTTP status here."""


def error_of(body: object) -> ErrorBody:
    """Read an error body, in any of the shapes that servers send."""
    body = innermost(body)
    if not isinstance(body, dict):
        return ErrorBody(words_of(body))
    code = body.get("code") or body.get("status")
    type_ = body.get("type")
    return ErrorBody(
        words_of(body),
        type_ if isinstance(type_, str) else None,
        str(code) if isinstance(code, str | int) and not isinstance(code, bool) else None,
    )


def failure_of(
    error: ErrorBody, model: str | None, status: int | None = None, retry_after: float | None = None
) -> ProviderError:
    """The `ProviderError` for an error of OpenAI's. `status` is None for an error inside a stream."""
    number = error.code if error.code and error.code.isdecimal() else None
    if status is None and number is not None and len(number) == 3:
        status = int(number)
    kind = next((_KINDS[name] for name in (error.code, error.type) if name in _KINDS), None)
    if kind is None and status is not None:
        kind = kind_of_status(status)
    if kind is None:
        kind = RequestRefused if error.type == "invalid_request_error" else ServerError
    code = error.type if error.code is None or number else error.code
    return failure(kind, error.message, provider=NAME, model=model, status=status, code=code, retry_after=retry_after)


class _Said(msgspec.Struct):
    """A `delta` or a `message`."""

    content: Any = None
    refusal: Any = None
    # Reasoning: DeepSeek and most others; vLLM, OpenRouter, Groq and Ollama; GitHub; LiteLLM. Some servers send the
    # same text under two names.
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    reasoning_text: Any = None
    thinking: Any = None
    thinking_blocks: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(msgspec.Struct):
    index: Any = None
    delta: _Said | None = None
    message: _Said | None = None
    text: Any = None
    finish_reason: Any = None
    # Moonshot sends the usage here
    usage: Any = None
    # OpenRouter sends errors here
    error: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    error_type: Any = None
    # Groq sends the usage here
    x_groq: Any = None
    # llama.cpp sent the counts here before it had usage in streams
    timings: Any = None
    # fields of errors without an `error` object: vLLM's of 2024, FastAPI's, DashScope's, Cloudflare's, MiniMax's
    message: Any = None
    detail: Any = None
    errors: Any = None
    code: Any = None
    base_resp: Any = None


class OpenAIDecoder(Decoder[_Chunk]):
    """Reads chat completion chunks, or the whole completion of a server that ignored `stream`."""

    provider = NAME
    events = msgspec.json.Decoder(_Chunk)
    # OpenAI's names first, then DeepSeek's, Moonshot's, and Anthropic's, which some servers use too
    counted = places(
        prompt="prompt_tokens input_tokens",
        completion="completion_tokens output_tokens",
        total="total_tokens",
        cached="prompt_tokens_details.cached_tokens input_tokens_details.cached_tokens prompt_cache_hit_tokens"
        " cached_tokens cache_read_input_tokens",
        reasoning="completion_tokens_details.reasoning_tokens output_tokens_details.reasoning_tokens reasoning_tokens",
    )

    def __init__(self, model: str, asked: Asked = NOTHING) -> None:
        super().__init__(model, Events(), asked)
        self._refused = False
        self._reasoned = False
        """Reasoning has come in one of the usual fields."""
        self._index: object = None
        """The index of the one choice that is read: 0, unless the server numbers them otherwise."""
        self._messages = False
        """Whether the text comes in messages instead of deltas."""
        self._cumulative: Cumulative | None = Cumulative()

    def _take(self, chunk: _Chunk) -> None:
        if chunk.error and is_error(chunk.error):
            error = error_of(chunk.error)
            error.type = error.type or (chunk.error_type if isinstance(chunk.error_type, str) else None)
            raise failure_of(error, self.model)
        if chunk.choices:
            if self._index is None:
                self._index = first_index([choice.index for choice in chunk.choices])
            for choice in chunk.choices:
                if not choice.index or choice.index == self._index or choice.index == "0":
                    self._read(choice)
        else:
            self._look_for_errors(chunk)
        if chunk.usage:
            self._count(chunk.usage)
        elif self._reason is not None:
            if isinstance(chunk.x_groq, dict):
                self._count(chunk.x_groq.get("usage"))
            elif isinstance(chunk.timings, dict):
                self._count(_usage_in(chunk.timings))

    def _look_for_errors(self, chunk: _Chunk) -> None:
        """Raise the error of an event without choices, if it has one."""
        said = chunk.detail or chunk.errors
        if said or (chunk.message and is_error(chunk.code)):
            raise failure_of(error_of({"message": chunk.message or said, "code": chunk.code}), self.model)
        answer = chunk.base_resp
        if isinstance(answer, dict) and is_error(answer.get("status_code")):
            code = answer["status_code"]
            said = {
                "message": answer.get("status_msg"),
                "code": _MINIMAX.get(code, code) if isinstance(code, int) else code,
            }
            raise failure_of(error_of(said), self.model)

    def _read(self, choice: _Choice) -> None:
        said = choice.delta or self._message(choice)
        if said is not None:
            if said.reasoning_content or said.reasoning:
                if reasoning := text_of(said.reasoning_content) or text_of(said.reasoning):
                    self._think(reasoning)
                    self._reasoned = True
            # the second part is not looked at for every token of the text
            elif (not said.content or not self._said) and (
                said.reasoning_details or said.reasoning_text or said.thinking or said.thinking_blocks
            ):
                self._think_otherwise(said)
            if content := said.content:
                if self._cumulative is not None:
                    content = self._new_in(content, self._cumulative)
                if content:
                    self._say(content)
                if said.tool_calls:
                    self._read_calls(said.tool_calls, whole=choice.message is not None)
                if not choice.finish_reason:
                    return
            elif said.content.__class__ in (int, float):  # the token `0`
                self._say(said.content)
            elif said.refusal:
                self._refused = True
            elif said.tool_calls or said.function_call:
                calls = said.tool_calls or {"function": said.function_call}
                self._read_calls(calls, whole=choice.message is not None)
        elif choice.text:
            self._say(choice.text)
        if choice.error and is_error(choice.error):
            raise failure_of(error_of(choice.error), self.model)
        if choice.finish_reason:
            if self._cumulative is not None and (held := self._cumulative.end()):
                self._say(held)
            self._stop("content_filter" if self._refused else choice.finish_reason)
        if choice.usage:
            self._count(choice.usage)

    def _read_calls(self, calls: object, *, whole: bool) -> None:
        for call in calls if isinstance(calls, list) else [calls]:
            if not isinstance(call, dict):
                continue
            # Cloudflare puts name and arguments beside the id
            function = call.get("function") or call
            if isinstance(function, dict) and ("name" in function or "arguments" in function):
                piece = Piece(
                    key=call.get("index"),
                    id=call.get("id"),
                    name=function.get("name"),
                    arguments=function.get("arguments"),
                    signature=signature_in(call.get("extra_content")),
                    whole=whole,
                )
                self._call(piece)

    def _think_otherwise(self, said: _Said) -> None:
        """Read the rarer fields for reasoning. They may repeat all that came in the usual ones."""
        if not self._reasoned:
            self._think(text_of(said.reasoning_details or said.reasoning_text or said.thinking or said.thinking_blocks))

    def _new_in(self, content: object, cumulative: Cumulative) -> object:
        if isinstance(content, str):
            content = cumulative.read(content)
            if not cumulative.over:
                return content
        elif held := cumulative.end():
            self._say(held)
        self._cumulative = None
        return content

    def _message(self, choice: _Choice) -> _Said | None:
        """The message that a server sends instead of a delta. None for the complete message that MiniMax and others
        send after the deltas."""
        if choice.message is None:
            return None
        self._flush()
        self._messages = self._messages or not self._said
        return choice.message if self._messages else None


def _usage_in(timings: dict[str, object]) -> dict[str, object]:
    """The counts in llama.cpp's `timings`, by OpenAI's names: `prompt_n` is without what came from its cache."""
    read = (timings.get(name) for name in ("prompt_n", "cache_n"))
    prompt = sum(tokens for tokens in read if isinstance(tokens, int))
    return {"prompt_tokens": prompt, "completion_tokens": timings.get("predicted_n")}
