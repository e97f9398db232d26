"""`openai` for Python."""

import json

import openai
from openai import OpenAI
from pydantic import BaseModel
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
    TOOL,
    WEATHER,
    WRONG_KEY,
    run,
    weather,
)

client = OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
tools = [{"type": "function", "function": {**TOOL, "strict": True}}]


class Author(BaseModel):
    name: str
    year: int


def user(text):
    return {"role": "user", "content": text}


def ask(text, client=client, **options):
    return client.chat.completions.create(model=CHAT, messages=[user(text)], **options)


def chat():
    answer = client.chat.completions.create(
        model=CHAT, messages=[{"role": "developer", "content": "Be brief."}, user(HELLO)], max_completion_tokens=50
    )
    (choice,) = answer.choices
    usage = answer.usage
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens],
    }


def stream():
    text, finish, usage, roles, early_usage = "", [], None, [], []
    for chunk in ask(COUNT, stream=True, stream_options={"include_usage": True}):
        if not chunk.choices:
            usage = chunk.usage
            continue
        early_usage += [chunk.usage] if chunk.usage else []
        (choice,) = chunk.choices
        finish.append(choice.finish_reason)
        text += choice.delta.content or ""
        roles += [choice.delta.role] if choice.delta.role else []
    return {
        "text": text,
        "finish": finish[-1],
        "early_finishes": [one for one in finish[:-1] if one],
        "roles": roles,
        "early_usage": early_usage,
        "usage": [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens],
    }


def stream_without_usage():
    return {"usage": [chunk.usage for chunk in ask(COUNT, stream=True) if chunk.usage is not None]}


def stream_helper():
    with client.chat.completions.stream(model=CHAT, messages=[user(COUNT)]) as events:
        return {"text": events.get_final_completion().choices[0].message.content}


def finished(calls, messages):
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": weather(**json.loads(call.function.arguments))}
        for call in calls
    ]
    answer = client.chat.completions.create(model=CHAT, messages=[*messages, *results], tools=tools)
    return {
        "calls": [[call.function.name, json.loads(call.function.arguments)] for call in calls],
        "text": answer.choices[0].message.content,
    }


def use_tools():
    first = ask(WEATHER, tools=tools)
    assert first.choices[0].finish_reason == "tool_calls"
    said = first.choices[0].message
    return finished(said.tool_calls, [user(WEATHER), said])


def streamed_tools():
    """As every loop over deltas does: an index says which call a part belongs to."""
    calls, finish = {}, None
    for chunk in ask(WEATHER, tools=tools, stream=True):
        for part in chunk.choices[0].delta.tool_calls or ():
            call = calls.setdefault(part.index, {"id": part.id, "name": part.function.name, "arguments": ""})
            call["arguments"] += part.function.arguments or ""
        finish = chunk.choices[0].finish_reason or finish
    assert finish == "tool_calls"
    with client.chat.completions.stream(model=CHAT, messages=[user(WEATHER)], tools=tools) as events:
        said = events.get_final_completion().choices[0].message
    assert [call.function.arguments for call in said.tool_calls] == [call["arguments"] for call in calls.values()]
    return finished(said.tool_calls, [user(WEATHER), said.to_dict()])


def schema():
    answer = client.chat.completions.parse(model=CHAT, messages=[user(AUTHOR)], response_format=Author)
    return answer.choices[0].message.parsed.model_dump()


def embeddings():
    """Asks for base64, as the client does by default, and for numbers."""
    answer = client.embeddings.create(model=EMBEDDING, input=TEXTS)
    numbers = client.embeddings.create(model=EMBEDDING, input=TEXTS[0], encoding_format="float")
    vectors = [one.embedding for one in answer.data]
    assert all(abs(a - b) < 1e-6 for a, b in zip(vectors[0], numbers.data[0].embedding, strict=True))
    return {"sizes": [len(vector) for vector in vectors], "first": [round(number, 4) for number in vectors[0][:3]]}


def models():
    found = [model.id for model in client.models.list()]
    assert client.models.retrieve(found[-1]).id == found[-1]
    return found


def length():
    answer = ask(LONG, max_tokens=50)
    return {"finish": answer.choices[0].finish_reason}


def reasoning():
    said = ask(THINK).choices[0].message
    streamed = {"reasoning": "", "reasoning_content": ""}
    for chunk in ask(THINK, stream=True):
        for name in streamed:
            streamed[name] += getattr(chunk.choices[0].delta, name, None) or ""
    assert said.reasoning == said.reasoning_content
    assert streamed["reasoning"] == streamed["reasoning_content"]
    return {"text": said.content, "reasoning": said.reasoning, "streamed": streamed["reasoning"]}


def cut():
    text = ""
    for chunk in ask(CUT, stream=True):
        text += chunk.choices[0].delta.content or ""
    return {"text": text}


def wrong_key():
    return ask(HELLO, client.with_options(api_key=WRONG_KEY)).id


def unknown_model():
    return client.chat.completions.create(model="no-such-model", messages=[user(HELLO)]).id


def limited():
    return ask(HELLO, client.with_options(api_key=LIMITED_KEY)).id


def unsupported():
    try:
        return ask(HELLO, n=2).id
    except openai.BadRequestError as error:
        return {"param": error.param, "type": error.type, "status": error.status_code}


run(
    {
        "chat": chat,
        "stream": stream,
        "stream_without_usage": stream_without_usage,
        "stream_helper": stream_helper,
        "tools": use_tools,
        "streamed_tools": streamed_tools,
        "schema": schema,
        "embeddings": embeddings,
        "models": models,
        "length": length,
        "reasoning": reasoning,
        "cut": cut,
        "wrong_key": wrong_key,
        "unknown_model": unknown_model,
        "limited": limited,
        "unsupported": unsupported,
    }
)
