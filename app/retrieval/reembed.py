"""`python -m app.retrieval.reembed`: moves all passages to the model of `EMBEDDING_MODEL`.

A document's new vectors are written beside the old ones and take their place when they are whole: so every document is
searched throughout, under the one model or the other. What has been written stays when the command is stopped or
killed; started again, it goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import msgspec
from dotenv import load_dotenv
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.errors import AppError, ProviderError, SupabaseRefused, SupabaseUnavailable
from app.providers.registry import PROVIDERS
from app.retrieval.embedders import Embedders, PassageEmbedder
from app.settings import NotSet, SettingsError, load_settings, where_looked, whose_address, with_running_stack
from app.store.client import open_supabase
from app.store.indexing import Indexing, PassageVector

BATCH = 64
TRIES = 6
"""Of a batch, with pauses that double: about a minute of a provider's bad day."""


async def reembed(indexing: Indexing, embedder: PassageEmbedder, progress: Progress) -> int:
    """Move everything; how many vectors were made. Raises `AppError` or `ProviderError`."""
    made = 0
    start = await indexing.reembed_progress(embedder.model)
    bar = progress.add_task(
        f"To {embedder.model}", total=start.passages, completed=start.passages - start.passages_left
    )
    while (document := await indexing.passages_to_reembed(embedder.model, BATCH)) is not None:
        vectors = await _embedded(embedder, [old.content for old in document.passages])
        new = [PassageVector(old.passage, vector) for old, vector in zip(document.passages, vectors, strict=True)]
        await indexing.store_reembedded(embedder.model, document, new)
        made += len(new)
        progress.advance(bar, len(new))
    # what an earlier run had made of a document that was not whole is known only now
    progress.update(bar, completed=start.passages)
    return made


async def _embedded(embedder: PassageEmbedder, texts: Sequence[str]) -> list[str]:
    for attempt in range(TRIES):
        try:
            # the operator's own doing: no user is charged
            return await embedder.embed(texts) if texts else []
        except ProviderError as error:
            if not error.retryable or attempt == TRIES - 1:
                raise
            await asyncio.sleep(error.retry_after or 2**attempt)
    raise AssertionError("the last try returns or raises")


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m app.retrieval.reembed",
        description="Move all passages to the model of EMBEDDING_MODEL. Passages are searched throughout, whichever "
        "model the API runs with; started again after a stop, it goes on where it was.",
        epilog="Reads the API's settings from the environment and .env. Where they name no Supabase, it is that of a "
        "running `make run`.",
    )


def _no_provider(model: str) -> str:
    """Why nothing can be moved to `model`, and what there is to do."""
    owner, offline = PROVIDERS.embedding(model), PROVIDERS.offline_embeddings.names[0]
    needed = owner.enabled_by if owner is not None else None
    why = "nobody's model" if needed is None else f"needs {needed.name}, which is not set"
    more = "another" if needed is None else f"{needed.name}, or another"
    return f"EMBEDDING_MODEL={model} {why}: set {more} EMBEDDING_MODEL ({offline} needs no provider)"


async def run(console: Console) -> int:
    settings = load_settings(with_running_stack())
    embedders = Embedders(settings)
    embedder = embedders.current
    if embedder.model != settings.embedding_model:
        console.print(_no_provider(settings.embedding_model), style="red", markup=False, soft_wrap=True)
        return 2
    supabase = open_supabase(settings.supabase_url, settings.supabase_publishable_key, settings.supabase_secret_key)
    indexing = Indexing(supabase)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            made = await reembed(indexing, PassageEmbedder(embedder), progress)
        left = (await indexing.reembed_progress(embedder.model)).documents_left
        state = f"{left} documents are being replaced: start it again after that" if left else "nothing is left"
        console.print(f"{made} vectors made with {embedder.model}; {state}", markup=False, highlight=False)
        return 0
    finally:
        await embedders.aclose()
        await supabase.aclose()


def main(arguments: Sequence[str] | None = None) -> int:
    _parser().parse_args(arguments)
    load_dotenv()
    console = Console(stderr=True)
    try:
        return asyncio.run(run(console))
    except KeyboardInterrupt:
        console.print("stopped; start it again to go on")
        return 130
    except (SettingsError, AppError, ProviderError, msgspec.DecodeError) as error:
        reason = str(error) if isinstance(error, (SettingsError, AppError)) else type(error).__name__
        if isinstance(error, NotSet):
            reason += f", and {where_looked()}"
        elif isinstance(error, SupabaseUnavailable) and not isinstance(error, SupabaseRefused):
            reason += f" ({whose_address()})"
        console.print(f"{reason}; start it again to go on", style="red", markup=False)
        return 2


if __name__ == "__main__":
    sys.exit(main())
