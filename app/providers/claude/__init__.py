"""Claude, by Anthropic's messages API."""

from app.modules import import_when_named

import_when_named("anthropic.types", "anthropic.resources")
