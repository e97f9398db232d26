"""What is on offer, depending on keys, on what answers, and on what users name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from app.api.model_views import ModelView, PriceView
from app.errors import (
    AuthenticationRefused,
    InvalidRequest,
    ModelNotFound,
    NoProviderConfigured,
    ProviderUnavailable,
    ServerError,
    Unreachable,
)
from app.providers.deferred import DeferredProvider
from app.providers.openai.description import OPENAI
from app.providers.registry import PROVIDERS
from app.routing import availability
from app.routing.availability import LIST_SECONDS, MOST_MODELS, RETRY_SECONDS, Availability
from app.routing.breaker import Breakers
from app.routing.catalog import Catalog
from app.routing.offers import Offers
from app.routing.router import ModelPreference
from app.routing.window import LEAST_CALLS
from app.settings import Settings
from app.store.messages import AllowedModel
from app.values import ProviderName
from tests.support.scripted_providers import HANG, Scripted, clock, failure, virtually

pytestmark = pytest.mark.usefixtures("default_log")


class World:
    """Providers that are configured, and what is on offer from them."""

    def __init__(self, *providers: Scripted, default: ProviderName | None = None, **models: str) -> None:
        supabase = {"supabase_url": "http://localhost", "supabase_publishable_key": "p", "supabase_secret_key": "s"}
        settings = Settings(**supabase, provider_values=models)
        self.providers = {provider.name: provider for provider in providers}
        self.breakers = Breakers(clock=clock)
        self.availability = Availability(self.providers, clock=clock)
        self.offers = Offers(self.providers, Catalog(settings), self.availability, self.breakers, default)

    async def ask(self, **preference: str) -> list[str]:
        """The candidates for a preference, as `provider/model`."""
        return [f"{one.provider}/{one.model}" for one in await self.offers.candidates(ModelPreference(**preference))]


def ollama(*models: str) -> Scripted:
    provider = Scripted("ollama")
    provider.models = frozenset({*models, *(model.removesuffix(":latest") for model in models)})
    return provider


def test_the_default_models_of_what_is_configured() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"))
        assert await world.ask() == ["openai/gpt-6.1-terra", "claude/claude-sonnet-5-5"]
        assert (await world.ask(task_type="code"))[0] == "claude/claude-sonnet-5-5"

    virtually(main)


def test_settings_name_the_models_and_the_default_provider() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"), OPENAI_MODEL="gpt-5-mini", default="claude")
        assert await world.ask() == ["claude/claude-sonnet-5-5", "openai/gpt-5-mini"]

    virtually(main)


def test_nothing_configured() -> None:
    async def main() -> None:
        with pytest.raises(NoProviderConfigured):
            await World().ask()

    virtually(main)


def test_the_demo_answers_alone() -> None:
    async def main() -> None:
        world = World(Scripted("demo"))
        assert await world.ask(task_type="code") == ["demo/demo"]
        offers, best = await world.offers.all()
        assert best is not None
        assert (best.provider, best.model) == ("demo", "demo")
        assert [offer.spec.provider for offer in offers if offer.available] == ["demo"]

    virtually(main)


@pytest.mark.parametrize(
    ("listed", "set_to", "expected"),
    [
        (["qwen3:8b", "llama3.2:latest"], None, ["ollama/llama3.2"]),
        (["all-minilm:latest", "bge-m3:latest", "nomic-embed-text:latest", "qwen3:8b"], None, ["ollama/qwen3:8b"]),
        (["qwen3:8b", "llama3.2:latest"], "qwen3:8b", ["ollama/qwen3:8b"]),
        # it may be there under a name that is not listed; the call will tell
        ([], "mistral", ["ollama/mistral"]),
    ],
)
def test_the_default_model_of_an_ollama(listed: Sequence[str], set_to: str | None, expected: list[str]) -> None:
    async def main() -> None:
        world = World(ollama(*listed), **({"OLLAMA_MODEL": set_to} if set_to else {}))
        assert await world.ask() == expected

    virtually(main)


def test_an_ollama_that_does_not_answer_is_not_there_whatever_its_url() -> None:
    async def main() -> None:
        down = Scripted("ollama")
        down.models = failure(Unreachable)
        world = World(down, Scripted("openai"), OLLAMA_MODEL="llama3.2")
        assert await world.ask(provider="ollama") == ["openai/gpt-6.1-terra"]
        offers, _ = await world.offers.all()
        assert {offer.spec.model: offer.available for offer in offers}["llama3.2"] is False

    virtually(main)


def test_an_ollama_without_models_offers_nothing() -> None:
    async def main() -> None:
        with pytest.raises(ProviderUnavailable):
            await World(ollama()).ask()

    virtually(main)


def test_an_ollama_that_hangs_delays_one_turn_once_and_briefly() -> None:
    async def main() -> None:
        hanging = Scripted("ollama")
        hanging.listing_takes = HANG
        world = World(hanging, Scripted("openai"))
        began = clock()
        await asyncio.gather(*(world.ask() for _ in range(20)))
        assert clock() - began == pytest.approx(LIST_SECONDS)
        assert hanging.listed == 1
        for _ in range(5):
            await asyncio.sleep(RETRY_SECONDS)
            began = clock()
            await world.ask()
            assert clock() == began

    virtually(main)


async def test_an_ollama_is_not_blamed_for_the_import_of_its_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "LIST_SECONDS", 0.5)

    def imported() -> Scripted:
        time.sleep(1)
        return ollama("qwen3:8b")

    listing = await Availability({"ollama": DeferredProvider("ollama", imported)}).listing("ollama")
    assert listing.models == {"qwen3:8b"}


def test_a_turn_that_is_cancelled_takes_the_answer_from_nobody_else() -> None:
    async def main() -> None:
        slow = ollama("qwen3:8b")
        slow.listing_takes = 1.0
        world = World(slow)
        cancelled, other = asyncio.create_task(world.ask()), asyncio.create_task(world.ask())
        await asyncio.sleep(0.5)
        cancelled.cancel()
        assert await other == ["ollama/qwen3:8b"]
        assert slow.listed == 1

    virtually(main)


def test_an_ollama_is_noticed_when_it_comes_and_goes() -> None:
    async def main() -> None:
        coming = ollama("qwen3:8b")
        world = World(coming, Scripted("openai"))
        assert "ollama/qwen3:8b" in await world.ask()
        coming.models = failure(Unreachable)
        await asyncio.sleep(RETRY_SECONDS)
        # the turn that finds the answer too old still gets it, and has a new one fetched
        assert "ollama/qwen3:8b" in await world.ask()
        await asyncio.sleep(0.1)
        assert "ollama/qwen3:8b" not in await world.ask()
        coming.models = frozenset({"qwen3:8b"})
        await asyncio.sleep(RETRY_SECONDS)
        await world.ask()
        await asyncio.sleep(0.1)
        assert "ollama/qwen3:8b" in await world.ask()

    virtually(main)


def test_a_known_model_is_preferred_without_asking_anyone() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"))
        assert (await world.ask(model="claude-opus-5-5"))[0] == "claude/claude-opus-5-5"
        assert world.providers["claude"].listed == 0

    virtually(main)


def test_an_unknown_model_that_a_provider_lists() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"))
        world.providers["claude"].models = frozenset({"claude-next"})
        assert (await world.ask(model="claude-next"))[0] == "claude/claude-next"
        assert (await world.ask(provider="claude", model="claude-next"))[0] == "claude/claude-next"
        for _ in range(100):
            with pytest.raises(InvalidRequest):
                await world.ask(model="gpt-99")
        with pytest.raises(InvalidRequest):
            await world.ask(provider="openai", model="claude-next")
        assert [provider.listed for provider in world.providers.values()] == [1, 1]
        await asyncio.sleep(OPENAI.list_fresh_seconds)
        await world.ask(model="claude-next")
        await asyncio.sleep(0.1)
        assert [provider.listed for provider in world.providers.values()] == [2, 2]

    virtually(main)


def refused() -> AuthenticationRefused:
    error = AuthenticationRefused("scripted", provider="scripted", status=401)
    error.wrong = True
    return error


def test_a_provider_whose_key_is_wrong_is_not_available() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"))
        openai = world.providers["openai"]
        openai.models = refused()
        # nobody has asked it yet
        assert (await world.ask())[0] == "openai/gpt-6.1-terra"
        await world.offers.check_defaults()
        assert {one.split("/")[0] for one in await world.ask()} == {"claude"}
        offered, best = await world.offers.all()
        shown = {offer.spec.provider: offer.available for offer in offered}
        assert best is not None
        assert best.provider == "claude"
        assert (shown["openai"], shown["claude"]) == (False, True)
        # a key that was put right is found within seconds
        openai.models = frozenset({"gpt-6.1-terra"})
        await asyncio.sleep(RETRY_SECONDS)
        await world.offers.all()
        await asyncio.sleep(0.1)
        assert (await world.ask())[0] == "openai/gpt-6.1-terra"

    virtually(main)


def test_a_provider_that_refuses_a_turn_is_asked_about_its_key() -> None:
    """Once in a while, however many turns it refuses."""

    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"))
        openai = world.providers["openai"]
        await world.offers.check_defaults()
        await asyncio.sleep(RETRY_SECONDS)
        asked, openai.models = openai.listed, refused()
        for _ in range(100):
            world.availability.doubt("openai")
            await asyncio.sleep(0.01)
        assert openai.listed == asked + 1
        assert {one.split("/")[0] for one in await world.ask()} == {"claude"}

    virtually(main)


def test_an_unknown_model_while_a_provider_cannot_be_asked() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), Scripted("claude"))
        world.providers["claude"].models = failure(AuthenticationRefused)
        # it may be Claude's, and the call will tell
        assert await world.ask(model="claude-next") == [
            "claude/claude-next",
            "openai/gpt-6.1-terra",
            "claude/claude-sonnet-5-5",
        ]
        assert (await world.ask(provider="claude", model="claude-next"))[0] == "claude/claude-next"
        with pytest.raises(InvalidRequest):
            await world.ask(provider="openai", model="claude-next")

    virtually(main)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("claude", "gpt-5-mini"),
        ("claude", "gpt-99"),
        ("claude", "gemini-99"),
        ("claude", "mine"),
        ("openai", "claude-opus-5-5"),
        ("openai", "mine"),
        ("ollama", "gpt-5-mini"),
        ("gemini", "claude-99"),
        ("openai", "demo"),
    ],
)
def test_a_model_that_is_known_to_be_anothers_while_its_provider_cannot_be_asked(provider: str, model: str) -> None:
    async def main() -> None:
        all_of_them = [Scripted(provider.name) for provider in PROVIDERS if not provider.stand_in]
        for one in all_of_them:
            one.models = failure(Unreachable)
        with pytest.raises(InvalidRequest, match=f"'{provider}' does not offer the model '{model}'"):
            await World(*all_of_them, OLLAMA_MODEL="mine").ask(provider=provider, model=model)

    virtually(main)


@pytest.mark.parametrize("preference", [{"model": "claude-99"}, {"provider": "openai", "model": "claude-99"}])
def test_an_openai_compatible_server_without_a_list_may_have_any_model(preference: dict[str, str]) -> None:
    async def main() -> None:
        gateway = Scripted("openai")
        gateway.models = failure(ModelNotFound)
        assert await World(gateway).ask(**preference) == ["openai/claude-99", "openai/gpt-6.1-terra"]

    virtually(main)


def test_of_several_providers_the_one_that_lists_a_model_is_asked_for_it() -> None:
    async def main() -> None:
        silent, listing = Scripted("openai"), Scripted("claude")
        silent.models = failure(ServerError)
        listing.models = frozenset({"house-model"})
        world = World(silent, listing)
        assert await world.ask(model="house-model") == [
            "claude/house-model",
            "openai/gpt-6.1-terra",
            "claude/claude-sonnet-5-5",
        ]

    virtually(main)


@pytest.mark.parametrize("preference", [{"model": "claude-opus-5-5"}, {"provider": "claude", "model": "claude-next"}])
def test_a_provider_without_a_key_is_answered_for_by_nobody(preference: dict[str, str]) -> None:
    async def main() -> None:
        with pytest.raises(InvalidRequest, match=r"'claude'.* is not configured") as caught:
            await World(Scripted("openai")).ask(**preference)
        assert caught.value.status == 422

    virtually(main)


def test_another_ones_model_that_a_provider_lists_is_its_own_as_well() -> None:
    async def main() -> None:
        gateway = Scripted("openai")
        gateway.models = frozenset({"claude-opus-5-5"})
        world = World(gateway)
        assert (await world.ask(model="claude-opus-5-5"))[0] == "openai/claude-opus-5-5"
        assert (await world.ask(provider="openai", model="claude-opus-5-5"))[0] == "openai/claude-opus-5-5"

    virtually(main)


@pytest.mark.parametrize("alias", ["claude-old-4", "claude-old-4-latest", "claude-old-4-20251001"])
def test_an_alias_of_a_dated_model(alias: str) -> None:
    async def main() -> None:
        world = World(Scripted("claude"))
        world.providers["claude"].models = frozenset({"claude-old-4-20251001"})
        assert (await world.ask(model=alias))[0] == f"claude/{alias}"
        with pytest.raises(InvalidRequest):
            await world.ask(model="claude-old")

    virtually(main)


def test_a_refusal_names_what_the_provider_lists() -> None:
    async def main() -> None:
        world = World(Scripted("openai"))
        world.providers["openai"].models = frozenset({"house-model-2", "nomic-embed-text"})
        with pytest.raises(InvalidRequest, match=r"Available: house-model-2, gpt-6\.1-terra") as caught:
            await world.ask(model="house-model-3")
        assert "nomic" not in str(caught.value)

    virtually(main)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-listed", "gemini-listed"),
        ("llama3.2:latest", "llama3.2"),
        ("qwen3:8b", "qwen3:8b"),
    ],
)
def test_a_model_is_found_under_any_of_its_names(named: str, found: str) -> None:
    async def main() -> None:
        world = World(Scripted("gemini"), ollama("qwen3:8b", "llama3.2:latest"))
        world.providers["gemini"].models = frozenset({"gemini-listed"})
        assert await world.offers.find(named) == found

    virtually(main)


def test_a_setting_that_names_a_model_in_its_providers_own_way() -> None:
    async def main() -> None:
        world = World(
            Scripted("gemini"),
            ollama("aya:8b", "llama3.2:latest"),
            GEMINI_MODEL="models/gemini-2.5-flash",
            OLLAMA_MODEL="llama3.2:latest",
        )
        assert await world.ask() == ["gemini/gemini-2.5-flash", "ollama/llama3.2"]
        offers, _ = await world.offers.all()
        assert [offer.spec.model for offer in offers if offer.spec.provider == "ollama"] == ["llama3.2", "aya:8b"]

    virtually(main)


def test_a_default_model_that_its_provider_does_not_list_is_said() -> None:
    async def main() -> None:
        silent, lacking, dated = Scripted("openai"), Scripted("gemini"), Scripted("claude")
        silent.models = failure(Unreachable)
        lacking.models = frozenset({"gemini-9"})
        dated.models = frozenset({"claude-sonnet-5-5-20261021"})
        world = World(silent, lacking, dated, ollama("llama3.2:latest"), OLLAMA_MODEL="llama3")
        with capture_logs() as logs:
            await world.offers.check_defaults()
        said = [line for line in logs if line["event"] == "provider.model_not_listed"]
        assert [(line["setting"], line["provider"], line["model"]) for line in said] == [
            ("GEMINI_MODEL", "gemini", "gemini-3.8-flash"),
            ("OLLAMA_MODEL", "ollama", "llama3"),
        ]

    virtually(main)


@pytest.mark.parametrize("named", ["llama3.2", "llama3.2:latest"])
def test_an_ollama_model_is_named_with_or_without_its_tag(named: str) -> None:
    async def main() -> None:
        world = World(ollama("aya:8b", "llama3.2:latest"))
        assert await world.ask(model=named) == ["ollama/llama3.2", "ollama/aya:8b"]

    virtually(main)


def test_a_model_of_an_ollama_that_went_away_is_known_but_passed_over() -> None:
    async def main() -> None:
        going = ollama("llama3.2:latest")
        world = World(Scripted("openai"), going)
        assert (await world.ask(model="llama3.2"))[0] == "ollama/llama3.2"
        going.models = failure(Unreachable)
        await asyncio.sleep(RETRY_SECONDS)
        await world.ask()
        await asyncio.sleep(0.1)
        assert await world.ask(model="llama3.2") == ["openai/gpt-6.1-terra"]

    virtually(main)


def test_what_models_shows() -> None:
    async def main() -> None:
        world = World(Scripted("openai"), ollama("qwen3:8b"))
        for _ in range(LEAST_CALLS):
            permit = await world.breakers.admit("openai", "gpt-6.1-terra")
            assert permit is not None
            permit.fail(failure(ServerError))
        offers, best = await world.offers.all()
        assert best is not None
        assert (best.provider, best.model) == ("ollama", "qwen3:8b")
        priced = AllowedModel(provider="openai", model="gpt-6.1-terra", input=5, cached=1, output=9)
        shown = {view.model: view for view in (ModelView.of(offer, priced) for offer in offers)}
        terra = shown["gpt-6.1-terra"]
        assert (terra.available, terra.breaker) == (True, "open")
        assert (terra.max_output_tokens, terra.task_types) == (128_000, ("creative",))
        assert (shown["gpt-6-luna"].breaker, shown["gpt-6-luna"].available) == ("closed", True)
        assert shown["claude-sonnet-5-5"].available is False
        assert shown["qwen3:8b"].max_output_tokens is None
        assert terra.price == PriceView(5, 1, 9)
        assert terra.context_tokens == 1_050_000
        assert {ModelView.of(offer, None).available for offer in offers} == {False}
        assert "demo" not in shown

    virtually(main)


def test_a_model_with_two_names_is_shown_once() -> None:
    async def main() -> None:
        offers, _ = await World(ollama("aya:8b", "llama3.2:latest")).offers.all()
        assert [offer.spec.model for offer in offers if offer.spec.provider == "ollama"] == ["aya:8b", "llama3.2"]

    virtually(main)


def test_a_long_list_is_cut() -> None:
    async def main() -> None:
        world = World(ollama(*(f"m{number:05}" for number in range(MOST_MODELS + 10))))
        assert len((await world.availability.listing("ollama")).models) == MOST_MODELS

    virtually(main)


def test_closing_stops_asking() -> None:
    async def main() -> None:
        hanging = Scripted("ollama")
        hanging.listing_takes = HANG
        world = World(hanging)
        turn = asyncio.create_task(world.ask())
        await asyncio.sleep(0.1)
        turn.cancel()
        await asyncio.wait([turn])
        began = clock()
        await world.availability.aclose()
        assert clock() == began
        assert len(asyncio.all_tasks()) == 1

    virtually(main)
