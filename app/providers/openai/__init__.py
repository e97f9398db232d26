"""OpenAI, and every server with a compatible chat completions API."""

from app.modules import import_when_named

import_when_named("openai.types")
