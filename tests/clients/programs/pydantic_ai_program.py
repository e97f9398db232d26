"""`pydantic-ai`."""

import asyncio

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, Embedder, NativeOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import ThinkingPart, ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenarios import (
    AUTHOR,
    BASE_URL,
    CHAT,
    COUNT,
    CUT,
    EMBEDDING,
    HELLO,
    KEY,
    LIMITED_KEY,
    LONG,
    TEXTS,
    THINK,
    WEATHER,
    WRONG_KEY,
    run,
    weather,
)


class Author(BaseModel):
    name: str
    year: int


def provider(key=KEY):
    return OpenAIProvider(openai_client=AsyncOpenAI(base_url=BASE_URL, api_key=key, max_retries=0))


def agent(key=KEY, model=CHAT, **options):
    return Agent(OpenAIChatModel(model, provider=provider(key)), **options)


def tokens(usage):
    return [usage.input_tokens, usage.output_tokens, usage.total_tokens]


async def chat():
    answer = await agent(instructions="Be brief.").run(HELLO)
    return {"text": answer.output, "finish": answer.response.finish_reason, "usage": tokens(answer.usage)}


async def stream():
    async with agent().run_stream(COUNT) as answer:
        text = "".join([piece async for piece in answer.stream_text(delta=True)])
        return {"text": text, "finish": answer.response.finish_reason, "usage": tokens(answer.usage)}


def with_weather():
    made = agent()

    @made.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return weather(city)

    return made


def calls(messages):
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    return [[part.tool_name, part.args_as_dict()] for part in parts]


async def use_tools():
    answer = await with_weather().run(WEATHER)
    return {"calls": calls(answer.all_messages()), "text": answer.output}


async def streamed_tools():
    async with with_weather().run_stream(WEATHER) as answer:
        text = await answer.get_output()
        return {"calls": calls(answer.all_messages()), "text": text}


async def schema():
    return (await agent(output_type=NativeOutput(Author)).run(AUTHOR)).output.model_dump()


async def embeddings():
    model = OpenAIEmbeddingModel(EMBEDDING, provider=provider())
    vectors = (await Embedder(model).embed_documents(TEXTS)).embeddings
    return {"sizes": [len(vector) for vector in vectors], "first": [round(number, 4) for number in vectors[0][:3]]}


async def length():
    return {"finish": (await agent().run(LONG, model_settings={"max_tokens": 50})).response.finish_reason}


async def reasoning():
    answer = await agent().run(THINK)
    thoughts = [part.content for part in answer.response.parts if isinstance(part, ThinkingPart)]
    return {"text": answer.output, "reasoning": "".join(thoughts)}


async def cut():
    async with agent().run_stream(CUT) as answer:
        return {"text": "".join([piece async for piece in answer.stream_text(delta=True)])}


async def wrong_key():
    return (await agent(WRONG_KEY).run(HELLO)).output


async def unknown_model():
    return (await agent(model="no-such-model").run(HELLO)).output


async def limited():
    return (await agent(LIMITED_KEY).run(HELLO)).output


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
                "embeddings": embeddings,
                "length": length,
                "reasoning": reasoning,
                "cut": cut,
                "wrong_key": wrong_key,
                "unknown_model": unknown_model,
                "limited": limited,
            }.items()
        }
    )
