"""Checks of the providers: the key, the default model, the vectors and the moderator; a short reply where it is asked
for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from functools import partial

from app.check.findings import Check, Finding, failed, ok, warning
from app.errors import AuthenticationRefused, ModelNotFound, ProviderError, RequestRefused, VectorsTooWide
from app.providers.base import EMBEDDING_WIDTH, Moderator, Provider
from app.providers.description import ProviderDescription
from app.providers.registry import PROVIDERS
from app.retrieval.embedders import Embedders
from app.routing.catalog import Catalog
from app.routing.offers import is_listed
from app.settings import Settings
from app.values import ChatRequest, Delta, Message, ProviderName

REPLY_TOKENS = 256
"""Enough for a word of a model that thinks first."""
QUESTION = "Answer with one word: what colour is the sky on a clear day?"


def provider_checks(
    settings: Settings,
    providers: Mapping[ProviderName, Provider],
    embedders: Embedders,
    moderator: Moderator | None,
    *,
    reply: bool,
) -> dict[str, Check]:
    """The checks by name. With `reply`, each provider is also asked for a short reply, which costs some tokens."""
    catalog = Catalog(settings)
    checks: dict[str, Check] = {}
    for name, provider in providers.items():
        checks[f"provider.{name}"] = partial(_provider, PROVIDERS[name], provider, catalog, reply)
    checks["embeddings"] = partial(_embeddings, settings, embedders)
    if moderator is not None:
        checks["moderation"] = partial(_moderation, settings.moderation, moderator)
    return checks


async def _provider(description: ProviderDescription, provider: Provider, catalog: Catalog, reply: bool) -> Finding:
    if description.stand_in:
        keys = ", ".join(one.enabled_by.name for one in PROVIDERS if one.enabled_by is not None)
        return warning(f"no provider is set, so the offline {description.name} answers", f"set one of {keys}")
    spec = catalog.default(description.name)
    model = spec.model if spec is not None else None
    # a reply proves more than the list: some servers have none, or serve models that they do not list
    return await (_replied if reply else _listed)(description, provider, model)


async def _listed(description: ProviderDescription, provider: Provider, model: str | None) -> Finding:
    """Whether the provider accepts the key, and lists the default model."""
    try:
        models = await provider.list_models()
    except ProviderError as error:
        return _refused(description, error, "list its models")
    listed = f"lists {len(models)} {'model' if len(models) == 1 else 'models'}"
    setting = description.model_setting.name if description.model_setting is not None else "the model"
    if model is None:
        if not models:
            return failed(f"it answers, and has no model ({listed})", f"load a model, and set {setting}")
        return ok(f"it {listed}; {setting} is not set, so the first one answers")
    if not is_listed(models, model):
        return failed(f"it {listed}, and {model} is not among them", f"set {setting} to one of them")
    accepted = " its key is accepted," if description.enabled_by and description.enabled_by.kind == "key" else ""
    return ok(f"{accepted} it {listed}, {model} among them".strip())


async def _replied(description: ProviderDescription, provider: Provider, model: str | None) -> Finding:
    """Whether the default model replies, and how soon."""
    try:
        model = model or sorted(await provider.list_models())[0]
        request = ChatRequest(model, (Message("user", QUESTION),), max_tokens=REPLY_TOKENS)
        async with aclosing(provider.stream(request)) as items:
            async for item in items:
                if isinstance(item, Delta):
                    return ok(f"{model} replies; this is the time to its first text")
    except ProviderError as error:
        return _refused(description, error, f"reply with {model}")
    return warning(f"{model} ended its reply without text within {REPLY_TOKENS} tokens", "try a longer reply yourself")


async def _embeddings(settings: Settings, embedders: Embedders) -> Finding:
    model = settings.embedding_model
    owner = PROVIDERS.embedding(model)
    current = embedders.current
    offline = PROVIDERS.offline_embeddings.names[0]
    if owner is None:
        return failed(f"EMBEDDING_MODEL={model} is no provider's", f"set a model of a provider, or {offline}")
    try:
        [vector] = await current.embed(["When does the kitchen close?"], "query")
    except VectorsTooWide:
        return failed(
            f"the vectors of {model} have more than the {EMBEDDING_WIDTH} numbers that the database stores",
            "set EMBEDDING_MODEL to a model with shorter vectors",
        )
    except ProviderError as error:
        return _refused(owner, error, f"embed with {model}")
    if current.model != model:
        needed = owner.enabled_by.name if owner.enabled_by is not None else "its provider"
        return warning(
            f"{offline} is used, since {model} needs {needed}: search finds words, and hardly meaning",
            f"set {needed}, or EMBEDDING_MODEL={offline} if that is meant",
        )
    if len(vector) != EMBEDDING_WIDTH:
        return failed(f"the vectors of {model} have {len(vector)} numbers, not {EMBEDDING_WIDTH}", None)
    if not any(vector):
        return failed(f"the vectors of {model} are zeros", "set EMBEDDING_MODEL to a model that embeds text")
    return ok(f"{model} makes vectors that fit")


async def _moderation(name: str, moderator: Moderator) -> Finding:
    description = PROVIDERS[ProviderName(name)]
    try:
        verdict = await moderator.check("When does the kitchen close?")
    except ProviderError as error:
        return _refused(description, error, "moderate")
    if verdict.flagged:
        return warning("it flags an ordinary question", "see whether MODERATION is what you want")
    return ok(f"{name} moderates")


def _refused(description: ProviderDescription, error: ProviderError, what: str) -> Finding:
    """The finding for a failure of a provider. Its own text is left out: it may quote the key."""
    key = description.enabled_by.name if description.enabled_by is not None else "its setting"
    url = next((one.name for one in description.settings if one.kind == "url"), key)
    model = description.model_setting.name if description.model_setting is not None else "the model"
    status = f" (status {error.status})" if error.status else ""
    kind = type(error).__name__
    match error:
        case AuthenticationRefused() if error.wrong:
            return failed(f"it refuses {key}{status}", f"set {key} to a key that is valid")
        case AuthenticationRefused() if what == "list its models":
            return warning(
                f"{key} may not list models{status}, so whether it may chat is not known",
                "allow it to, or prove it with --reply",
            )
        case AuthenticationRefused():
            return failed(f"{key} may not {what}{status}", f"give {key} that permission, or set another key")
        case ModelNotFound() | RequestRefused() if what == "list its models":
            return warning(
                f"it does not list models{status}: either it has no such list, or {url} is wrong",
                f"correct {url}, or prove it with --reply",
            )
        case ModelNotFound():
            return failed(f"it does not {what}: it has no such model{status}", f"set {model} to one that it has")
        case _:
            return failed(f"it cannot {what} ({kind}){status}", f"see whether {url} is right, and its status page")
