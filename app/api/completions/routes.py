"""`/openai/v1`: what OpenAI's clients call. The base URL of a client is `…/openai/v1`, its key a personal key or the
user's token."""

from __future__ import annotations

import base64
import struct
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from app.api.auth import Caller
from app.api.completions.answer import CompletionAnswer
from app.api.completions.bodies import ChatCompletionRequest, EmbeddingsRequest
from app.api.completions.description import CompletionOperation, refusals
from app.api.completions.errors import LIMITS, limit_headers
from app.api.completions.views import (
    ChatCompletion,
    EmbeddingList,
    EmbeddingUsage,
    EmbeddingView,
    ListedModel,
    ListedModels,
)
from app.api.openapi import TOKEN_OR_KEY, answers_with
from app.api.quotas import EXPOSED
from app.api.reply_stream import reader_of
from app.api.requests import DOUBTLESS
from app.chat.completions import Completions
from app.chat.endings import Cut
from app.chat.live import Followers
from app.errors import UnknownModel
from app.retrieval.requested import RequestedVectors
from app.routing.catalog import provider_names
from app.values import AUTO, User

OWNER_OF_AUTO = "parley"


def completion_routes(completions: Completions, vectors: RequestedVectors, followers: Followers) -> Router:
    started = int(time.time())

    @post(
        "/chat/completions",
        operation_id="createChatCompletion",
        operation_class=CompletionOperation,
        status_code=200,
        response_description="The completion; with `stream` its chunks as server-sent events.",
        response_headers=answers_with(*EXPOSED, *LIMITS),
        responses=refusals(body=True),
        opt={DOUBTLESS: True},
    )
    async def complete(
        request: Request[Any, Any, Any], user: Caller, data: JSONBody[ChatCompletionRequest]
    ) -> Response[ChatCompletion]:
        """Answer a list of messages, as OpenAI's chat completions do.

        The messages are the whole prompt, after the operator's system prompt: nothing of the user's conversations,
        instructions or documents is added. Nothing is stored but what it costs. The reply ends when its reader goes.
        """
        asked = data.asked()
        with reader_of(request.receive) as gone:
            completion = await completions.begin(user, asked)
            if gone():  # before a provider is called
                completion.cut(Cut.STOPPED)
        try:
            options = data.stream_options
            usage = options is not None and options.include_usage is True
            return CompletionAnswer(followers, completion, stream=data.stream is True, usage=usage)  # type: ignore[return-value]
        except BaseException:
            completion.cut(Cut.STOPPED)
            raise

    async def listed(user: User) -> list[ListedModel]:
        named = await completions.models(user)
        twice = Counter(model for _, model in named)
        models = [(model if twice[model] == 1 else f"{provider}/{model}", provider) for provider, model in named]
        embedding_owner, embedding = vectors.model
        everything = [(AUTO, OWNER_OF_AUTO), *models, (embedding, embedding_owner)]
        return [ListedModel(name, started, owner) for name, owner in dict(everything).items()]

    @get(
        "/models",
        operation_id="listCompletionModels",
        response_description="The models.",
        responses=refusals(),
    )
    async def models(user: Caller) -> ListedModels:
        """List the models that may be named now: `auto`, those of chat completions, and that of embeddings."""
        return ListedModels(await listed(user))

    @get(
        "/models/{model:path}",
        operation_id="readCompletionModel",
        response_description="The model.",
        responses=refusals(),
    )
    async def model(user: Caller, model: FromPath[str]) -> ListedModel:
        """Read one model, by a name under which it may be asked for."""
        name = model.removeprefix("/")
        found = await listed(user)
        for one in found:
            if name in (one.id, f"{one.owned_by}/{one.id}"):
                return one
        if name in provider_names() and any(one.owned_by == name for one in found):
            return ListedModel(name, started, name)
        raise UnknownModel(f"The model '{name}' does not exist, or you do not have access to it.")

    @post(
        "/embeddings",
        operation_id="createEmbeddings",
        status_code=200,
        response_description="The vectors.",
        response_headers=answers_with(*EXPOSED, *LIMITS),
        responses=refusals(body=True),
        opt={DOUBTLESS: True},
    )
    async def embeddings(
        request: Request[Any, Any, Any], user: Caller, data: JSONBody[EmbeddingsRequest]
    ) -> Response[EmbeddingList]:
        """Make vectors of texts, by the embedding model of this server. No more are made when the reader goes."""
        texts = data.texts()
        with reader_of(request.receive) as gone:
            found = await vectors.embed(user.id, data.model, texts, dimensions=data.dimensions, gone=gone)
        base = data.encoding_format == "base64"
        items = [
            EmbeddingView(place, _base64(vector) if base else list(vector))
            for place, vector in enumerate(found.vectors)
        ]
        answer = EmbeddingList(items, found.model, EmbeddingUsage(found.tokens, found.tokens))
        return Response(answer, headers=limit_headers(found.quotas))

    return Router(
        "/openai/v1",
        route_handlers=[complete, models, model, embeddings],
        tags=["completions"],
        security=TOKEN_OR_KEY,
    )


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
