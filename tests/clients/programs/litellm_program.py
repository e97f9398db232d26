"""`litellm`, by the prefix `openai/`."""

import json

import litellm
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
    SCHEMA,
    TEXTS,
    THINK,
    TOOL,
    WEATHER,
    WRONG_KEY,
    run,
    weather,
)

tools = [{"type": "function", "function": TOOL}]


def user(text):
    return {"role": "user", "content": text}


def complete(messages, key=KEY, model=CHAT, **options):
    return litellm.completion(
        f"openai/{model}", messages, api_base=BASE_URL, api_key=key, num_retries=0, max_retries=0, **options
    )


def ask(text, **options):
    return complete([user(text)], **options)


def tokens(usage):
    return [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]


def chat():
    answer = complete([{"role": "system", "content": "Be brief."}, user(HELLO)])
    (choice,) = answer.choices
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": tokens(answer.usage)}


def stream():
    chunks = list(ask(COUNT, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks)
    (choice,) = whole.choices
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": tokens(whole.usage)}


def finished(said):
    # before they are sent back: then they become dictionaries
    calls = [[call.function.name, json.loads(call.function.arguments)] for call in said.tool_calls]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": weather(**json.loads(call.function.arguments))}
        for call in said.tool_calls
    ]
    answer = complete([user(WEATHER), said, *results], tools=tools)
    return {"calls": calls, "text": answer.choices[0].message.content}


def use_tools():
    return finished(ask(WEATHER, tools=tools).choices[0].message)


def streamed_tools():
    return finished(litellm.stream_chunk_builder(list(ask(WEATHER, tools=tools, stream=True))).choices[0].message)


def schema():
    wanted = {"type": "json_schema", "json_schema": {"name": "author", "schema": SCHEMA, "strict": True}}
    return json.loads(ask(AUTHOR, response_format=wanted).choices[0].message.content)


def embeddings():
    answer = litellm.embedding(f"openai/{EMBEDDING}", input=TEXTS, api_base=BASE_URL, api_key=KEY, max_retries=0)
    vectors = [one["embedding"] for one in answer.data]
    return {"sizes": [len(vector) for vector in vectors], "first": [round(number, 4) for number in vectors[0][:3]]}


def length():
    return {"finish": ask(LONG, max_tokens=50).choices[0].finish_reason}


def reasoning():
    said = ask(THINK).choices[0].message
    streamed = "".join(
        getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in ask(THINK, stream=True)
    )
    return {"text": said.content, "reasoning": said.reasoning_content, "streamed": streamed}


def cut():
    return {"text": "".join(chunk.choices[0].delta.content or "" for chunk in ask(CUT, stream=True))}


run(
    {
        "chat": chat,
        "stream": stream,
        "tools": use_tools,
        "streamed_tools": streamed_tools,
        "schema": schema,
        "embeddings": embeddings,
        "length": length,
        "reasoning": reasoning,
        "cut": cut,
        "wrong_key": lambda: ask(HELLO, key=WRONG_KEY).id,
        "unknown_model": lambda: ask(HELLO, model="no-such-model").id,
        "limited": lambda: ask(HELLO, key=LIMITED_KEY).id,
    }
)
