"""`llm`, with `extra-openai-models.yaml` in its folder; embeddings go where OPENAI_BASE_URL says."""

import json
import os
import tempfile
from pathlib import Path

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
    SCHEMA,
    TEXTS,
    THINK,
    WEATHER,
    WRONG_KEY,
    run,
    weather,
)

folder = tempfile.mkdtemp()
os.environ |= {"LLM_USER_PATH": folder, "OPENAI_BASE_URL": BASE_URL}
Path(folder, "extra-openai-models.yaml").write_text(
    f"""
- model_id: parley
  model_name: {CHAT}
  api_base: {BASE_URL}
  api_key_name: parley
  supports_tools: true
  supports_schema: true
- model_id: parley-other
  model_name: no-such-model
  api_base: {BASE_URL}
  api_key_name: parley
"""
)

import llm  # noqa: E402 - reads the folder

model = llm.get_model("parley")
seen = []


def get_weather(city: str) -> str:
    """The weather in a city."""
    seen.append(["get_weather", {"city": city}])
    return weather(city)


def told(response):
    text = response.text()
    usage = response.usage()
    return {"text": text, "usage": [usage.input, usage.output, usage.input + usage.output]}


def use_tools(stream):
    seen.clear()
    text = "".join(model.chain(WEATHER, tools=[get_weather], key=KEY, stream=stream))
    return {"calls": list(seen), "text": text}


def schema():
    return json.loads(model.prompt(AUTHOR, schema=SCHEMA, key=KEY).text())


def embeddings():
    vectors = list(llm.get_embedding_model("3-small").embed_multi(TEXTS, key=KEY))
    return {"sizes": [len(vector) for vector in vectors], "first": [round(number, 4) for number in vectors[0][:3]]}


def length():
    response = model.prompt(LONG, key=KEY, stream=False, max_tokens=50)
    response.text()
    return {"finish": response.response_json["choices"][0]["finish_reason"]}


run(
    {
        "chat": lambda: told(model.prompt(HELLO, system="Be brief.", key=KEY, stream=False)),
        "stream": lambda: told(model.prompt(COUNT, key=KEY)),
        "tools": lambda: use_tools(stream=False),
        "streamed_tools": lambda: use_tools(stream=True),
        "schema": schema,
        "embeddings": embeddings,
        "length": length,
        "reasoning": lambda: {"text": model.prompt(THINK, key=KEY).text()},
        "cut": lambda: {"text": model.prompt(CUT, key=KEY).text()},
        "wrong_key": lambda: model.prompt(HELLO, key=WRONG_KEY, stream=False).text(),
        "unknown_model": lambda: llm.get_model("parley-other").prompt(HELLO, key=KEY, stream=False).text(),
        "limited": lambda: model.prompt(HELLO, key=LIMITED_KEY, stream=False).text(),
    }
)
