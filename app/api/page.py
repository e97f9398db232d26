"""The API page, `GET /schema`: Swagger UI on the OpenAPI document, to read it and to try a call with a token.

Its files come with the package `mkdocs-swagger-ui-tag`, and the browser is told to ask nobody else for anything.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath

PATH = "/schema"
DAY_SECONDS = 86_400

_FILES = files("mkdocs_swagger_ui_tag") / "swagger-ui"
_PACKAGED = {
    "swagger-ui-bundle.js": (_FILES / "javascripts" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_FILES / "stylesheets" / "swagger-ui.css", "text/css"),
}
_START = f"""SwaggerUIBundle({{
  url: "{PATH}/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
}});
""".encode()
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley's API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{PATH}/assets/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="{PATH}/assets/swagger-ui-bundle.js"></script>
<script src="{PATH}/assets/start.js"></script>
</body>
</html>
""".encode()

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, and calls to this origin only."""


class SwaggerPage(OpenAPIRenderPlugin):
    """The page itself; Litestar's own loads Swagger UI from a CDN."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return _PAGE


def router() -> Router:
    """Where Litestar adds the page and the document."""
    return Router(
        PATH,
        route_handlers=[asset],
        response_headers={
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
        include_in_schema=False,
    )


@get("/assets/{name:str}", sync_to_thread=True, cache_control=CacheControlHeader(max_age=DAY_SECONDS))
def asset(name: FromPath[str]) -> Response[bytes]:
    """A file of the page."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    if name not in _PACKAGED:
        raise NotFoundException
    packaged, media_type = _PACKAGED[name]
    return Response(packaged.read_bytes(), media_type=media_type)
