"""Replies as servers were reported to give them, through router and adapter: whole, by the model asked, with counts."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from app.chat.spending import Spending
from app.providers.description import HOSTED
from app.providers.factory import make_providers
from app.routing.breaker import Breakers
from app.routing.deadlines import Deadlines
from app.routing.failover import Answering, Failover
from app.routing.router import Candidate
from app.values import ChatRequest, Delta, Finish, Message, ProviderName
from tests.contract.conftest import MODEL, configured_at
from tests.contract.reported import REPORTS
from tests.contract.reporting import Reported
from tests.support.raw_upstream import raw_upstream
from tests.support.scripted_providers import Scripted

ASKED = (Message("user", "What time is it, and what does it cost?"),)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
async def test_reported_reply_is_whole(report: Reported) -> None:
    other = Scripted(ProviderName("demo"))
    candidates = (Candidate(report.adapter, MODEL), Candidate(other.name, "other"))
    text, finish = "", None
    async with raw_upstream(report()) as upstream:
        provider = make_providers(configured_at(upstream.url))[report.adapter]
        deadlines = Deadlines(60.0, {report.adapter: HOSTED, other.name: HOSTED})
        failover = Failover({report.adapter: provider, other.name: other}, Breakers(), deadlines)
        answer = failover.answer(candidates, lambda candidate: ChatRequest(candidate.model, ASKED))
        async with aclosing(answer) as events:
            async for event in events:
                match event:
                    case Answering(name, _):
                        assert name == report.adapter
                    case Delta():
                        text += event.text
                    case Finish():
                        finish = event
        await provider.aclose()
        assert len(upstream.exchanges) == (len(report.answers) if isinstance(report.answers, tuple) else 1)

    assert text == report.text
    assert finish is not None
    assert finish.reason == report.reason
    if report.usage is not None:
        assert finish.usage == report.usage
    spending = Spending(lambda *_: None)
    spending.calling(report.adapter, ChatRequest(MODEL, ASKED), 0)
    spending.finished(finish.usage)
    used = spending.answer(len(text.encode()), 0)
    assert used is not None
    assert used.prompt_tokens > 0
    assert used.completion_tokens > 0
