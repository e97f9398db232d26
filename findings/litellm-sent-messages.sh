#!/bin/sh
# One would guess: completion leaves the messages that it is given as they are, so that a reply which is sent back with the
# results of its tool calls can be read afterwards as before: message.tool_calls[0].function.name.
# What happens: litellm writes into the message. After it was sent, its tool calls are dictionaries, and reading them as
# before raises AttributeError.
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
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import litellm

warnings.simplefilter("ignore")
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}


class Server(BaseHTTPRequestHandler):
    """Calls the tool first, and answers its result."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        called = asked["messages"][-1]["role"] == "user"
        said = {"role": "assistant", "content": None, "tool_calls": [CALL]} if called else {"role": "assistant", "content": "Warm."}
        choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if called else "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]


def complete(messages):
    base = f"http://127.0.0.1:{server.server_port}/v1"
    answer = litellm.completion("openai/m", messages, api_base=base, api_key="a-key", tools=tools)
    return answer.choices[0].message


question = {"role": "user", "content": "How warm is Rome?"}
said = complete([question])
before = type(said.tool_calls[0]).__name__
complete([question, said, {"role": "tool", "tool_call_id": "call_1", "content": "21"}])
after = type(said.tool_calls[0]).__name__
print(f"litellm {version('litellm')}: a tool call was a {before}, and is a {after} after the message was sent")
server.shutdown()
sys.exit(0 if before != "dict" and after == "dict" else 1)
PYTHON
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" "$folder/ask.py"
