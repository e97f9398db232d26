"""The two proxies' files, with the real programs: a stream passes as it is written, on both surfaces."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts import smoke
from scripts.local_supabase.processes import free_port
from tests.deploy.conftest import Tools, caddy, nginx
from tests.support.cluster import Cluster


@pytest.mark.parametrize("running", [caddy, nginx])
async def test_a_stream_passes_as_it_is_written(
    tools: Tools, own: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], running: type
) -> None:
    # one of the two replicas is away, so each request has to find the other
    api = await own.replica(FORWARDED_ALLOW_IPS="127.0.0.1")
    own.upstream.script = {"tokens": 40, "gap": 0.04}
    client = await own.client()
    environ = {
        "PARLEY_TOKEN": client.person.token,
        "SUPABASE_URL": own.stack.url,
        "SUPABASE_PUBLISHABLE_KEY": own.stack.publishable_key,
    }
    async with running(urlsplit(api.url).port, free_port(), tmp_path) as front:
        options = smoke.parser().parse_args([front.url, "--chat", "--completions"])
        failures = await smoke.run(options, environ)
    # the step `delivered` fails where a proxy holds the stream up
    assert failures == 0, capsys.readouterr().out
