#!/bin/sh
# One would guess: get_valid_models with an api_base that has a path, such as https://host/openai/v1, asks that base for
# its models, as completion and embedding do with the same api_base.
# What happens: the path is dropped. litellm asks https://host/v1/models, and where there is no list of models it answers
# with an empty one and no error.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "litellm==1.110.2"

cat > "$folder/ask.py" <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import litellm

asked = []


class Server(BaseHTTPRequestHandler):
    """OpenAI's API below /openai/v1, and nothing else."""

    def do_GET(self):
        asked.append(self.path)
        there = self.path == "/openai/v1/models"
        body = {"object": "list", "data": [{"id": "a-model", "object": "model", "created": 1, "owned_by": "me"}]}
        content = json.dumps(body if there else {"error": {"message": "not here"}}).encode()
        self.send_response(200 if there else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
found = litellm.get_valid_models(
    check_provider_endpoint=True,
    custom_llm_provider="openai",
    api_base=f"http://127.0.0.1:{server.server_port}/openai/v1",
    api_key="a-key",
)
print(f"litellm {version('litellm')}: asked for {asked}, found {found}")
server.shutdown()
sys.exit(0 if asked == ["/v1/models"] and found == [] else 1)
PYTHON
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" "$folder/ask.py"
