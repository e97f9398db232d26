"""What servers were reported to answer, as bytes: each is a whole reply, and none is exactly what its wire says.

The reports are issues and pull requests of public repositories, named beside each.
"""

from __future__ import annotations

from tests.contract.reported_claude import CLAUDE_REPORTS
from tests.contract.reported_gemini import GEMINI_REPORTS
from tests.contract.reported_ollama import OLLAMA_REPORTS
from tests.contract.reported_openai import OPENAI_REPORTS
from tests.contract.reported_openai_ends import ENDS
from tests.contract.reporting import Reported

REPORTS: dict[str, Reported] = {
    f"{adapter}: {name}": report
    for adapter, reports in (
        ("openai", OPENAI_REPORTS | ENDS),
        ("claude", CLAUDE_REPORTS),
        ("gemini", GEMINI_REPORTS),
        ("ollama", OLLAMA_REPORTS),
    )
    for name, report in reports.items()
}
