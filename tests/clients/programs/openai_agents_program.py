"""`openai-agents`, on chat completions."""

import asyncio
import json

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel
from scenarios import (
    AUTHOR,
    BASE_URL,
    CHAT,
    COUNT,
    CUT,
    HELLO,
    KEY,
    LIMITED_KEY,
    LONG,
    THINK,
    WEATHER,
    WRONG_KEY,
    run,
    weather,
)

set_tracing_disabled(disabled=True)


class Author(BaseModel):
    name: str
    year: int


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return weather(city)


def agent(key=KEY, model=CHAT, **options):
    client = AsyncOpenAI(base_url=BASE_URL, api_key=key, max_retries=0)
    return Agent("Tester", model=OpenAIChatCompletionsModel(model, client), **options)


def tokens(result):
    usage = result.context_wrapper.usage
    return [usage.input_tokens, usage.output_tokens, usage.total_tokens]


def calls(result):
    found = [item.raw_item for item in result.new_items if item.type == "tool_call_item"]
    return [[call.name, json.loads(call.arguments)] for call in found]


async def chat():
    result = await Runner.run(agent(instructions="Be brief."), HELLO)
    return {"text": result.final_output, "usage": tokens(result)}


async def streamed(text, **options):
    result = Runner.run_streamed(agent(**options), text)
    pieces = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    return result, "".join(pieces)


async def stream():
    result, text = await streamed(COUNT, model_settings=ModelSettings(include_usage=True))
    assert result.final_output == text
    return {"text": text, "usage": tokens(result)}


async def use_tools():
    result = await Runner.run(agent(tools=[get_weather]), WEATHER)
    return {"calls": calls(result), "text": result.final_output}


async def streamed_tools():
    result, text = await streamed(WEATHER, tools=[get_weather])
    return {"calls": calls(result), "text": text}


async def schema():
    return (await Runner.run(agent(output_type=Author), AUTHOR)).final_output.model_dump()


async def length():
    return {"text": (await Runner.run(agent(model_settings=ModelSettings(max_tokens=50)), LONG)).final_output}


async def reasoning():
    result = await Runner.run(agent(), THINK)
    thoughts = [item.raw_item.summary[0].text for item in result.new_items if item.type == "reasoning_item"]
    return {"text": result.final_output, "reasoning": "".join(thoughts)}


async def cut():
    return {"text": (await streamed(CUT))[1]}


async def plain(**options):
    return (await Runner.run(agent(**options), HELLO)).final_output


with asyncio.Runner() as runner:
    run(
        {
            name: lambda scenario=scenario: runner.run(scenario())
            for name, scenario in {
                "chat": chat,
                "stream": stream,
                "tools": use_tools,
                "streamed_tools": streamed_tools,
                "schema": schema,
                "length": length,
                "reasoning": reasoning,
                "cut": cut,
                "wrong_key": lambda: plain(key=WRONG_KEY),
                "unknown_model": lambda: plain(model="no-such-model"),
                "limited": lambda: plain(key=LIMITED_KEY),
            }.items()
        }
    )
