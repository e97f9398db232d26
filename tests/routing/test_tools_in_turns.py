"""Tool calls in a turn: they count as text, and what no model supports is told by its name."""

from __future__ import annotations

import pytest

from app.errors import (
    BrokenStream,
    ParameterRefused,
    ParameterUnsupported,
    ProviderError,
    ProviderUnavailable,
    ServerError,
    Stalled,
)
from app.routing.failover import Answering
from app.values import Delta, Finish, Reasoning, ToolCallDelta
from tests.support.scripted_providers import ALIVE, HANG, OPENED, Scripted, Stage, failure, virtually

CALL = ToolCallDelta(0, "a", "search", "{")
REST = ToolCallDelta(0, None, None, "}")
CALLED = Finish("tool_calls", None)


def refused(parameter: str = "tools") -> ProviderError:
    error = ParameterRefused("scripted", provider="scripted")
    error.parameter = parameter
    return error


def test_a_reply_may_have_calls_and_no_text() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [OPENED, "\n\n", Reasoning("Hm."), CALL, ALIVE, REST, CALLED]))
        assert await stage.collect() == [
            Answering("openai", "openai-model", None),
            Reasoning("Hm."),
            CALL,
            REST,
            CALLED,
        ]
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_text_and_calls_keep_their_order() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ["I look.", CALL, REST, "So.", CALLED]))
        assert (await stage.collect())[1:] == [Delta("I look."), CALL, REST, Delta("So."), CALLED]

    virtually(main)


def test_before_the_first_call_another_provider_answers() -> None:
    async def main() -> None:
        stage = Stage(
            Scripted("openai", otherwise=[Reasoning("Hm."), failure(ServerError)]), Scripted("claude", [CALL, CALLED])
        )
        assert (await stage.collect())[-3:] == [Answering("claude", "claude-model", "server_error"), CALL, CALLED]

    virtually(main)


@pytest.mark.parametrize(
    ("end", "kind"), [(failure(BrokenStream), BrokenStream), (failure(ServerError), ServerError), (HANG, Stalled)]
)
def test_after_the_first_call_nobody_else_answers(end: ProviderError | float, kind: type[ProviderError]) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [CALL, end]), Scripted("claude"))
        with pytest.raises(kind):
            await stage.collect()
        assert not stage.providers["claude"].calls
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_a_provider_without_a_parameter_is_passed_over() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[refused()]), Scripted("claude", [CALL, CALLED]))
        assert (await stage.collect())[1:] == [Answering("claude", "claude-model", "parameter_refused"), CALL, CALLED]
        assert len(stage.providers["openai"].calls) == 1
        assert stage.health("openai") == "closed"

    virtually(main)


def test_a_parameter_that_nobody_has_is_named() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[refused()]), Scripted("claude", otherwise=[refused("tool_choice")]))
        with pytest.raises(ParameterUnsupported) as error:
            await stage.collect()
        assert error.value.parameter == "tools"
        assert error.value.status == 422
        assert error.value.detail == "No available model supports `tools` as this request has it"

    virtually(main)


def test_a_parameter_is_not_named_when_another_model_may_have_it() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[refused()]), Scripted("claude", otherwise=[failure(ServerError)]))
        with pytest.raises(ProviderUnavailable):
            await stage.collect()

    virtually(main)
