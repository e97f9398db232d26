"""`make bench-providers`: CPU of one 50-token reply, iterated by each provider's SDK and read by ours (about a minute).

All run in this process, against a server in another process on 127.0.0.1. Each SDK is measured unchanged, and again on
our transport, which separates the savings of the transport from those of our decoder. Rounds alternate, and a figure is
the median of its rounds. Compare only figures of the same run. Fails when OpenAI or Claude needs more than a quarter of
the CPU that its SDK needs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import ollama
import uvloop
from anthropic import AsyncAnthropic
from google import genai
from openai import AsyncOpenAI

from app.providers.base import Provider
from app.providers.claude.client import make_client as make_claude_client
from app.providers.description import Configuration
from app.providers.factory import make_providers
from app.providers.gemini.client import make_client as make_gemini_client
from app.providers.ollama.client import make_client as make_ollama_client
from app.providers.openai.client import make_client as make_openai_client
from app.values import ChatRequest, Delta, Message
from scripts.bench.provider_upstream import TOKENS, WORDS
from scripts.bench.servers import LOAD_CORE, running, wait_for
from scripts.local_supabase.processes import free_port

ROUNDS = 7
CONCURRENT = 32
EACH = 3
LARGEST_SHARE = 0.25
REQUIRED = ("openai", "claude")

SYSTEM = "You are a helpful assistant."
PROMPT = "What is the capital of France, and why? " * 5
TEXT = "".join(WORDS)

Reply = Callable[[], Awaitable[str]]


def by_openai(client: AsyncOpenAI) -> Reply:
    """Iterates a reply with OpenAI's SDK as its manual shows."""

    async def reply() -> str:
        stream = await client.chat.completions.create(
            model="m",
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    return reply


def by_claude(client: AsyncAnthropic) -> Reply:
    """Iterates a reply with Anthropic's SDK as its manual shows."""

    async def reply() -> str:
        stream = await client.messages.create(
            model="m", max_tokens=100, system=SYSTEM, messages=[{"role": "user", "content": PROMPT}], stream=True
        )
        return "".join(
            [
                event.delta.text
                async for event in stream
                if event.type == "content_block_delta" and event.delta.type == "text_delta"
            ]
        )

    return reply


def by_gemini(client: genai.Client) -> Reply:
    """Iterates a reply with Google's SDK as its manual shows."""

    async def reply() -> str:
        stream = await client.aio.models.generate_content_stream(
            model="m", contents=PROMPT, config={"system_instruction": SYSTEM}
        )
        return "".join([chunk.text or "" async for chunk in stream])

    return reply


def by_ollama(client: ollama.AsyncClient) -> Reply:
    """Iterates a reply with Ollama's client as its manual shows."""

    async def reply() -> str:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
        parts = await client.chat("m", messages, stream=True)
        return "".join([part.message.content or "" async for part in parts])

    return reply


def by_us(provider: Provider) -> Reply:
    """Iterates a reply of our provider as the router does."""
    request = ChatRequest("m", (Message("system", SYSTEM), Message("user", PROMPT)))

    async def reply() -> str:
        return "".join([event.text async for event in provider.stream(request) if isinstance(event, Delta)])

    return reply


async def cost(reply: Reply) -> float:
    """CPU milliseconds of this process for one reply."""

    async def several() -> None:
        for _ in range(EACH):
            if await reply() != TEXT:
                raise SystemExit("a reply was not what the server sent")

    started = time.process_time()
    await asyncio.gather(*(several() for _ in range(CONCURRENT)))
    return (time.process_time() - started) / (CONCURRENT * EACH) * 1000


async def compare(name: str, *replies: Reply) -> float:
    """Print the costs of the SDK, of the SDK on our transport, and of ours. Returns ours as a share of the SDK's."""
    for reply in replies:
        await cost(reply)
    gc.freeze()  # as the service does after its start
    rounds = [[await cost(reply) for reply in replies] for _ in range(ROUNDS)]
    gc.unfreeze()
    medians: list[float] = [statistics.median(costs) for costs in zip(*rounds, strict=True)]
    sdk, moved, ours = medians
    share = statistics.median(costs[-1] / costs[0] for costs in rounds)
    print(f"{name:<8}{sdk:>8.2f} ms {moved:>14.2f} ms {ours:>8.2f} ms {share:>8.0%}", flush=True)
    return share


async def measure(url: str) -> dict[str, float]:
    configuration = Configuration(
        {
            **dict.fromkeys(("OPENAI_API_KEY", "GOOGLE_AI_API_KEY", "ANTHROPIC_API_KEY"), "-"),
            **dict.fromkeys(("GOOGLE_AI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_BASE_URL"), url),
            "OPENAI_BASE_URL": f"{url}/v1",
        }
    )
    async with AsyncExitStack() as stack:
        openai_sdks = (
            AsyncOpenAI(api_key="-", base_url=f"{url}/v1", max_retries=0),
            make_openai_client(configuration),
        )
        claude_sdks = (
            AsyncAnthropic(api_key="-", base_url=url, max_retries=0),
            make_claude_client(configuration),
        )
        moved_gemini, gemini_http = make_gemini_client(configuration)
        gemini_sdks = (
            genai.Client(vertexai=False, api_key="-", http_options={"base_url": url}),
            moved_gemini,
        )
        ollama_sdks = (ollama.AsyncClient(url), make_ollama_client(configuration))
        providers = make_providers(configuration)
        for closing in (*openai_sdks, *claude_sdks, *ollama_sdks):
            stack.push_async_callback(closing.close)
        stack.push_async_callback(gemini_sdks[0].aio.aclose)
        stack.push_async_callback(gemini_http.aclose)
        for provider in providers.values():
            stack.push_async_callback(provider.aclose)
        sdks: dict[str, list[Reply]] = {
            "openai": [by_openai(client) for client in openai_sdks],
            "claude": [by_claude(client) for client in claude_sdks],
            "gemini": [by_gemini(client) for client in gemini_sdks],
            "ollama": [by_ollama(client) for client in ollama_sdks],
        }
        ours = {str(name): by_us(provider) for name, provider in providers.items()}
        print(f"CPU of a reply of {TOKENS} tokens, {CONCURRENT} at once, median of {ROUNDS} rounds\n")
        print(f"{'':<8}{'SDK':>11} {'on our transport':>17} {'ours':>11} {'share':>8}")
        return {name: await compare(name, *replies, ours[name]) for name, replies in sdks.items()}


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    port = free_port()
    with running((sys.executable, "-m", "scripts.bench.provider_upstream", str(port)), LOAD_CORE):
        wait_for(f"http://127.0.0.1:{port}/")
        shares = uvloop.run(measure(f"http://127.0.0.1:{port}"))
    dear = [name for name in REQUIRED if shares[name] > LARGEST_SHARE]
    if dear:
        print(f"\n{' and '.join(dear)}: more than {LARGEST_SHARE:.0%} of the SDK's CPU", file=sys.stderr)
    return 1 if dear else 0


if __name__ == "__main__":
    sys.exit(main())
