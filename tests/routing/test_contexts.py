"""A model whose context is full is asked again with less, and what its server said holds for the next ones, too."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
import pytest

from app.chat.prompt import build_request
from app.errors import BrokenStream, ContextTooLong, InvalidRequest
from app.routing.context import (
    GUESSED_SECONDS,
    LEAST_KEPT_TOKENS,
    LEAST_TOKENS,
    MOST_CONTEXTS,
    NAMED_SECONDS,
    Contexts,
)
from app.routing.failover import Answering
from app.routing.retry import ATTEMPTS_PER_CANDIDATE
from app.routing.router import Candidate
from app.routing.window import LEAST_CALLS
from app.values import ChatRequest, Delta, Finish, Message, ProviderName, Reasoning, StreamItem, Usage, estimate_tokens
from tests.support.scripted_providers import DONE, Play, Scripted, Stage, failure, virtually

CANDIDATE = Candidate("openai", "m")


class Server(Scripted):
    """A provider whose model has a context, and whose texts have so many tokens for each one that is estimated."""

    def __init__(
        self,
        name: ProviderName,
        context: int,
        *,
        density: float = 1.0,
        names_limit: bool = True,
        counts: bool = True,
        with_reply: bool = False,
    ) -> None:
        super().__init__(name)
        self.context = context
        self.density = density
        self._names_limit = names_limit
        self._counts = counts
        self._with_reply = with_reply
        self.refused = 0

    def counted(self, request: ChatRequest) -> int:
        text = sum(estimate_tokens(message.content) for message in request.messages)
        return round(text * self.density) + 7 * len(request.messages) + 20

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        needed = self.counted(request) + (request.max_tokens or 0) * self._with_reply
        if needed > self.context:
            self.refused += 1
            error = failure(ContextTooLong)
            assert isinstance(error, ContextTooLong)
            error.limit = self.context if self._names_limit else None
            error.counted = needed if self._counts else None
            raise error
        async with aclosing(super().stream(request)) as items:
            async for item in items:
                yield item


class Conversation:
    """Turns of one user, as the chat makes them."""

    def __init__(self, stage: Stage, *, max_tokens: int | None = None) -> None:
        self.history: list[Message] = []
        self._stage = stage
        self._max_tokens = max_tokens

    async def say(self, content: str) -> str:
        """Who answered."""

        def request_for(candidate: Candidate) -> ChatRequest:
            return build_request(
                candidate.model,
                self.history,
                content,
                context_tokens=candidate.context_tokens,
                max_tokens=self._max_tokens,
                density=candidate.density,
            )

        provider = ""
        async with aclosing(self._stage.failover.answer(self._stage.candidates, request_for)) as events:
            async for event in events:
                if isinstance(event, Answering):
                    provider = event.provider
        self.history += [Message("user", content), Message("assistant", "answer " * 100)]
        return provider


SERVERS = [
    {"density": density, "names_limit": names, "counts": counts, "with_reply": with_reply}
    for density, (names, counts), with_reply in itertools.product(
        (0.6, 1.0, 2.5), ((True, True), (True, False), (False, False)), (False, True)
    )
]


@pytest.mark.parametrize("server", SERVERS, ids=str)
@pytest.mark.parametrize("context", [1024, 4096, 30_000])
def test_a_conversation_can_always_be_continued(context: int, server: dict[str, float]) -> None:
    """Forty long turns, as an OpenAI-compatible server knows no context: none fails, and none takes more than three
    calls, nor does any of them harm the model's breaker."""

    async def main() -> None:
        openai = Server("openai", context, **server)  # type: ignore[arg-type]
        stage = Stage(openai, Scripted("claude"))
        conversation = Conversation(stage, max_tokens=200)
        for number in range(40):
            made = len(openai.calls) + openai.refused
            assert await conversation.say(f"{number} " * 300) == "openai"
            assert len(openai.calls) + openai.refused - made <= ATTEMPTS_PER_CANDIDATE
        assert stage.health("openai") == "closed"

    virtually(main)


@pytest.mark.parametrize("names", [True, False], ids=["named", "unnamed"])
def test_a_question_longer_than_the_context_is_answered(names: bool) -> None:
    async def main() -> None:
        openai = Server("openai", 1024, names_limit=names, counts=names)
        assert await Conversation(Stage(openai)).say("very long " * 10_000) == "openai"
        assert "Too long for this model" in openai.requests[-1].messages[-1].content

    virtually(main)


def test_a_named_limit_is_kept_for_everybody() -> None:
    async def main() -> None:
        openai = Server("openai", 2000)
        stage = Stage(openai)
        first, second = Conversation(stage), Conversation(stage)
        second.history = [Message("user", "x" * 4000)] * 10
        await first.say("x" * 40_000)
        assert openai.refused == 1
        await second.say("y" * 100)
        assert openai.refused == 1
        assert openai.counted(openai.requests[-1]) <= 2000
        await asyncio.sleep(NAMED_SECONDS)
        await second.say("y" * 100)
        assert openai.refused == 2

    virtually(main)


def test_dense_text_of_one_user_leaves_the_next_ones_prompt_alone() -> None:
    async def main() -> None:
        openai = Server("openai", 2000, density=3.0)
        stage = Stage(openai)
        dense = Conversation(stage)
        dense.history = [Message("user", "x" * 2000)] * 3
        await dense.say("why?")
        assert openai.refused == 1
        openai.density = 1.0
        other = Conversation(stage)
        other.history = [Message("user", "x" * 4900)]
        await other.say("why?")
        assert openai.refused == 1
        assert openai.requests[-1].messages == (*other.history[:1], Message("user", "why?"))

    virtually(main)


def test_asking_for_less_takes_of_no_budget_and_no_cooldown() -> None:
    """Fifty at once, each refused first."""

    async def main() -> None:
        openai = Server("openai", 1000)
        stage = Stage(openai, Scripted("claude"))
        answers = await asyncio.gather(*(Conversation(stage).say("x" * 9000) for _ in range(50)))
        assert answers == ["openai"] * 50
        assert openai.refused == 50
        assert stage.health("openai") == "closed"

    virtually(main)


def test_a_context_that_is_full_inside_the_stream_is_asked_for_less_too() -> None:
    async def main() -> None:
        thought = Reasoning("Hm.")
        stage = Stage(Scripted("openai", [thought, failure(ContextTooLong)], [thought, "Hello", DONE]))
        conversation = Conversation(stage)
        conversation.history = [Message("user", "x" * 8000)]
        await conversation.say("why?")
        first, second = stage.providers["openai"].requests
        assert len(second.messages) < len(first.messages) or second.messages[0] != first.messages[0]

    virtually(main)


def test_a_prompt_that_leaves_no_room_for_a_single_token_is_asked_for_less() -> None:
    """Some servers say so by a reply that ends for its length before it began."""

    async def main() -> None:
        stage = Stage(Scripted("openai", [Finish("length", Usage(4096, 0))], ["Hello", DONE]))
        conversation = Conversation(stage)
        conversation.history = [Message("user", "x" * 8000)] * 3
        await conversation.say("why?")
        first, second = stage.providers["openai"].requests
        assert sum(len(message.content) for message in second.messages) < 12_000
        assert len(first.messages) == 4
        assert stage.health("openai") == "closed"

    virtually(main)


def test_a_reply_that_never_has_room_is_no_success() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[Finish("length", Usage(4096, 0))]), Scripted("claude"))
        for content in ("Hi", "x" * 40_000, "x" * 4_000, "x" * 40_000):
            assert await Conversation(stage).say(content) == "claude"

    virtually(main)


@pytest.mark.parametrize(
    "play",
    [
        [Finish("length", Usage(4096, 24))],
        [Finish("length", None)],
        [Reasoning("Hm."), Finish("length", Usage(4096, 0))],
    ],
    ids=["counted", "not counted", "reasoned"],
)
def test_a_reply_that_was_all_thought_has_had_its_length(play: Play) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", play))
        conversation = Conversation(stage)
        conversation.history = [Message("user", "x" * 8000)] * 3
        await conversation.say("why?")
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_a_context_that_the_reply_fills_is_its_length() -> None:
    async def main() -> None:
        play: Play = ["Once upon", failure(ContextTooLong)]
        stage = Stage(Scripted("openai", otherwise=play), Scripted("claude"))
        for _ in range(2 * LEAST_CALLS):
            assert (await stage.collect())[1:] == [Delta("Once upon"), Finish("length", None)]
        assert stage.health("openai") == "closed"
        assert stage.providers["claude"].calls == []

    virtually(main)


def test_a_model_that_refuses_even_the_smallest_is_passed_over() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[failure(ContextTooLong)]), Scripted("claude"))
        assert await Conversation(stage).say("x" * 100_000) == "claude"
        assert len(stage.providers["openai"].calls) == ATTEMPTS_PER_CANDIDATE
        alone = Stage(Scripted("openai", otherwise=[failure(ContextTooLong)]))
        with pytest.raises(InvalidRequest, match="too long"):
            await Conversation(alone).say("x" * 100_000)

    virtually(main)


def test_a_request_that_no_model_can_find_long_is_not_made_again() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(ContextTooLong)]), Scripted("claude"))
        assert await Conversation(stage).say("Hi") == "claude"
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_a_broken_stream_after_a_refusal_is_no_shorter_request() -> None:
    """The attempts of a candidate are three, whatever each was for."""

    async def main() -> None:
        server = Scripted("openai", [failure(ContextTooLong)], [failure(BrokenStream)], [failure(ContextTooLong)])
        stage = Stage(server, Scripted("claude"))
        assert await Conversation(stage).say("x" * 100_000) == "claude"
        assert len(server.calls) == ATTEMPTS_PER_CANDIDATE
        sizes = [len(request.messages[-1].content) for request in server.requests]
        assert sizes[0] > sizes[1] == sizes[2]

    virtually(main)


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────────────────


def refusal(limit: int | None = None, counted: int | None = None) -> ContextTooLong:
    error = failure(ContextTooLong)
    assert isinstance(error, ContextTooLong)
    error.limit, error.counted = limit, counted
    return error


def of_tokens(tokens: int) -> ChatRequest:
    return ChatRequest("m", (Message("user", "x" * 4 * (tokens - 5)),))


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("known", "named", "limit", "kept"),
    [
        (None, 8192, 8192, 8192),
        (4096, 8192, 4096, 4096),
        (8192, 4096, 4096, 4096),
        (None, 600, 600, LEAST_KEPT_TOKENS),
        (None, 3, LEAST_TOKENS, LEAST_KEPT_TOKENS),
    ],
)
def test_the_smaller_limit_holds(known: int | None, named: int, limit: int, kept: int) -> None:
    contexts = Contexts(Time())
    candidate = Candidate("openai", "m", context_tokens=known)
    smaller = contexts.smaller(candidate, of_tokens(10_000), refusal(named, 10_000), last=False)
    assert smaller is not None
    assert smaller.context_tokens == limit
    assert contexts.fitted(candidate).context_tokens == kept
    assert contexts.fitted(Candidate("openai", "other", context_tokens=known)).context_tokens == known


def test_a_guess_is_forgotten_sooner_than_what_was_named() -> None:
    time = Time()
    contexts = Contexts(time)
    contexts.smaller(CANDIDATE, of_tokens(30_000), refusal(), last=False)
    assert contexts.fitted(CANDIDATE).context_tokens == 10_000
    time.now += GUESSED_SECONDS
    assert contexts.fitted(CANDIDATE).context_tokens is None
    contexts.smaller(CANDIDATE, of_tokens(30_000), refusal(8192), last=False)
    time.now += GUESSED_SECONDS
    assert contexts.fitted(CANDIDATE).context_tokens == 8192


def test_a_long_reply_that_is_refused_to_a_short_prompt_teaches_nothing() -> None:
    contexts = Contexts(Time())
    asked = msgspec.structs.replace(of_tokens(300), max_tokens=100_000)
    smaller = contexts.smaller(CANDIDATE, asked, refusal(), last=False)
    assert smaller is not None
    assert smaller.context_tokens == (300 + 100_000) // 3
    assert contexts.fitted(CANDIDATE).context_tokens is None


def test_no_guess_is_lower_than_any_model_has() -> None:
    contexts = Contexts(Time())
    for _ in range(10):
        contexts.smaller(contexts.fitted(CANDIDATE), of_tokens(5_000), refusal(), last=True)
    assert contexts.fitted(CANDIDATE).context_tokens == LEAST_KEPT_TOKENS


def test_the_count_says_how_dense_the_text_is_and_holds_for_this_turn_only() -> None:
    contexts = Contexts(Time())
    smaller = contexts.smaller(CANDIDATE, of_tokens(1_000), refusal(2_048, 3_000), last=False)
    assert smaller is not None
    assert 3.0 < smaller.density < 3.3
    assert contexts.fitted(CANDIDATE).density == 1.0


def test_there_is_a_limit_to_limits() -> None:
    contexts = Contexts(Time())
    contexts.smaller(CANDIDATE, of_tokens(1_000), refusal(2048), last=False)
    for number in range(MOST_CONTEXTS - 1):
        contexts.smaller(Candidate("ollama", f"m-{number}"), of_tokens(1_000), refusal(2048), last=False)
    assert contexts.fitted(CANDIDATE).context_tokens == 2048
    contexts.smaller(Candidate("ollama", "one more"), of_tokens(1_000), refusal(2048), last=False)
    contexts.smaller(Candidate("ollama", "and another"), of_tokens(1_000), refusal(2048), last=False)
    assert contexts.fitted(CANDIDATE).context_tokens == 2048
    assert contexts.fitted(Candidate("ollama", "m-0")).context_tokens is None
