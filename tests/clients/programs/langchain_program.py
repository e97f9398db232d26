"""`langchain-openai`."""

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
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
    WEATHER,
    WRONG_KEY,
    run,
    weather,
)


def chat_model(key=KEY, model=CHAT, **options):
    return ChatOpenAI(model=model, base_url=BASE_URL, api_key=key, max_retries=0, **options)


class Author(BaseModel):
    name: str
    year: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return weather(city)


def tokens(message):
    return [message.usage_metadata[f"{name}_tokens"] for name in ("input", "output", "total")]


def chat():
    answer = chat_model().invoke([("system", "Be brief."), ("user", HELLO)])
    return {
        "text": answer.text,
        "finish": answer.response_metadata["finish_reason"],
        "usage": tokens(answer),
    }


def stream():
    whole = None
    for chunk in chat_model(stream_usage=True).stream(COUNT):
        whole = chunk if whole is None else whole + chunk
    return {"text": whole.text, "finish": whole.response_metadata["finish_reason"], "usage": tokens(whole)}


def finished(model, said):
    results = [ToolMessage(weather(**call["args"]), tool_call_id=call["id"]) for call in said.tool_calls]
    answer = model.invoke([HumanMessage(WEATHER), said, *results])
    return {"calls": [[call["name"], call["args"]] for call in said.tool_calls], "text": answer.text}


def use_tools():
    model = chat_model().bind_tools([get_weather])
    return finished(model, model.invoke(WEATHER))


def streamed_tools():
    model = chat_model().bind_tools([get_weather])
    whole = None
    for chunk in model.stream(WEATHER):
        whole = chunk if whole is None else whole + chunk
    return finished(model, whole)


def schema():
    return chat_model().with_structured_output(Author, method="json_schema").invoke(AUTHOR).model_dump()


def embeddings():
    """Texts instead of tokens are what its documentation says for other providers."""
    vectors = OpenAIEmbeddings(
        model=EMBEDDING, base_url=BASE_URL, api_key=KEY, check_embedding_ctx_length=False
    ).embed_documents(TEXTS)
    return {"sizes": [len(vector) for vector in vectors], "first": [round(number, 4) for number in vectors[0][:3]]}


def length():
    return {"finish": chat_model(max_tokens=50).invoke(LONG).response_metadata["finish_reason"]}


def reasoning():
    return {"text": chat_model().invoke(THINK).text}


def cut():
    return {"text": "".join(chunk.text for chunk in chat_model().stream(CUT))}


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
        "wrong_key": lambda: chat_model(WRONG_KEY).invoke(HELLO).text,
        "unknown_model": lambda: chat_model(model="no-such-model").invoke(HELLO).text,
        "limited": lambda: chat_model(LIMITED_KEY).invoke(HELLO).text,
    }
)
