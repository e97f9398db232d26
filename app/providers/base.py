"""Interfaces: what a provider, an embedder and a moderator can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from app.values import ChatRequest, ProviderName, StreamItem

EMBEDDING_WIDTH = 1536
"""Dimensions of every stored vector: the column is `vector(1536)`. Shorter ones are padded with zeros, which does not
change the cosine."""

EmbeddingKind = Literal["query", "passage"]


class Provider(Protocol):
    """A source of replies. Every method raises `ProviderError` and nothing else (besides `CancelledError`)."""

    name: ProviderName

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        """Stream the reply to `request`: an `Opened` when the provider has accepted it, then text and reasoning as they
        come, then exactly one `Finish`. An `Alive` stands for a read that only shows that the provider works.

        Items that `request.take` takes at once are left out of the stream, and those of a read that follow one which it
        does not take come the usual way. A provider need not ask it.

        When the server refuses a part of the request by name, the request is sent again without that part. A stream
        that ends without a finish reason raises `BrokenStream`; a refusal or filter raises `ContentFiltered`. Closing
        the generator closes the connection, which stops the provider's work.
        """
        ...

    async def list_models(self) -> frozenset[str]:
        """The ids of the models that this provider offers now to our key."""
        ...

    async def aclose(self) -> None:
        """Close the connections. The provider cannot be used afterwards."""
        ...


class Vectors(list[list[float]]):
    """One vector a text, and how many tokens the provider counted for them; None where it does not say."""

    def __init__(self, vectors: Iterable[list[float]] = (), tokens: int | None = None) -> None:
        super().__init__(vectors)
        self.tokens = tokens


class Embedder(Protocol):
    """Turns texts into vectors. `model` is stored with every vector; only vectors of one model are compared."""

    model: str

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """One vector of `EMBEDDING_WIDTH` numbers for each text, in order; `Vectors` if the provider may say how many
        tokens it counted. Raises `ProviderError`."""
        ...

    async def aclose(self) -> None: ...


class Verdict(msgspec.Struct, frozen=True):
    """A moderator's answer: whether the text is flagged, and the names of the categories that flagged it."""

    flagged: bool
    categories: tuple[str, ...] = ()


class Moderator(Protocol):
    async def check(self, text: str) -> Verdict:
        """Judge `text`. Raises `ProviderError`."""
        ...

    async def aclose(self) -> None: ...
