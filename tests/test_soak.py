"""The soak itself: a short one has every fault and holds, and its judgement finds what must never be."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.marked import write_between
from scripts.soak.__main__ import BEGIN, END, PAGE, main
from scripts.soak.book import Asked, Attempt, Book, Reading
from scripts.soak.flat import MOST_GROWTH_MB, not_flat
from scripts.soak.gauges import Gauges, Life, Sample
from scripts.soak.judge import Stored, violations
from scripts.soak.picture import picture
from tests.support.upstream import Call

ROOT = Path(__file__).parents[1]


@pytest.mark.stack
@pytest.mark.timeout(600)
async def test_short_soak_holds() -> None:
    """Its own stack, two replicas, every fault."""
    command = [sys.executable, "-m", "scripts.soak", "--minutes", "0.35", "--members", "4"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    output, errors = (text.decode() for text in await process.communicate())
    assert process.returncode == 0, errors[-6000:]
    assert "No violations." in output
    for fault in ("500", "429", "lost answers", "kill -9", "no database", "Realtime", "Data API", "Postgres", "drain"):
        assert re.search(rf"^\| .*{fault}.* \| \d+ \|", output, re.MULTILINE), output
    # what users do is left to chance, and of the rest a short soak may have nothing
    for request in ("send", "prying"):
        assert re.search(rf"^\| {request} \| [1-9]", output, re.MULTILINE), output


class Scene:
    """One message with its reply of three tokens, which one reader has read, and nothing wrong with any of it."""

    def __init__(self) -> None:
        self.book = Book()
        script = {"id": "m", "tokens": 3, "token": "user-{} "}
        self.asked = Asked("message", "user", script, conversation="c", key="k", accepted=True, replies={"r"})
        self.call = Call({"messages": [{"content": "x" * 40}]}, script, self.book.opened + 1, sent=3)
        self.call.ended_at = self.call.started_at + 1
        self.reply = {
            "id": "r", "parent_id": "q", "conversation_id": "c", "user_id": "user", "role": "assistant", "version": 1,
            "status": "complete", "content": "user-0 user-1 user-2 ", "reasoning": "", "cost_micro_usd": 5,
            "error_code": None, "problem": None,
        }  # fmt: skip
        self.question = self.reply | {"id": "q", "role": "user", "content": json.dumps(script), "cost_micro_usd": None}
        entry = {"reply_id": "r", "user_id": "user", "kind": "reply", "cost_micro_usd": 5}
        self.ledger = [entry | {"prompt_tokens": 7, "completion_tokens": 3}]
        self.reading = Reading(self.asked, "r", str(self.reply["content"]), "done", "complete", "sent")
        self.title: str | None = "title0 title1 title2"
        self.titles: list[Call] = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.log: list[str] = []

    def violations(self) -> list[str]:
        self.book.asked, self.book.readings = [self.asked], [self.reading]
        rows = [row for row in (self.question, self.reply) if row]
        replies, sent = defaultdict(list), defaultdict(list)
        for row in rows:
            if row["role"] == "assistant":
                replies[str(row["parent_id"])].append(row)
            else:
                sent[str(row["content"])].append(row)
        conversations = [{"id": "c", "user_id": "user", "cost_micro_usd": 5, "title": self.title}]
        stored = Stored({str(row["id"]): row for row in rows}, replies, sent, self.ledger, conversations)
        calls = [self.call, *self.titles]
        upstream = SimpleNamespace(
            calls=calls, calls_of=lambda marker: [c for c in calls if c.script.get("id") == marker]
        )
        on: Any = SimpleNamespace(book=self.book, upstream=upstream, unforeseen=lambda: self.log)
        people = [SimpleNamespace(id="user"), SimpleNamespace(id="other")]
        crowd: Any = SimpleNamespace(members=people, listeners=[], heard=self.heard)
        return list(violations(on, crowd, stored))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_wrong_with_a_true_reply(scene: Scene) -> None:
    assert scene.violations() == []


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"reply": {}}, "replies {'r'} to m are lost"),
        ({"reply": {"content": "user-0 "}}, "is called complete with 7 of 21 characters"),
        ({"reply": {"content": "user-0 user-1 user-2 user-3 "}}, "has a text that nobody said"),
        ({"reply": {"status": "stopped"}}, "is stopped, and nobody asked for that"),
        ({"reply": {"status": "interrupted"}}, "was interrupted, and no replica had ended"),
        ({"reply": {"status": "failed", "error_code": "internal_error"}}, "failed: internal_error"),
        ({"reply": {"status": "failed", "error_code": "provider_unavailable"}}, "failed inside its text"),
        ({"reply": {"version": 2}}, "have the versions [2]"),
        ({"reply": {"cost_micro_usd": 4}}, "tells a cost of 4, the ledger has 5"),
        ({"reply": {"content": "other user-0 "}}, "has a text of somebody else"),
        ({"reply": {"user_id": "other"}}, "message r of other is in a conversation of user"),
        ({"question": {"content": "{}"}}, "was accepted and is not stored"),
        ({"ledger": {"prompt_tokens": 14, "completion_tokens": 6}}, "was charged 14 + 6 tokens"),
        ({"ledger": {"completion_tokens": 2}}, "was charged 7 + 2 tokens"),
        ({"reading": {"text": "user-0 "}}, "holds 7 characters (complete), 21 are stored (complete)"),
        ({"reading": {"ending": None}}, "never came to an end"),
        ({"reading": {"status": "stopped"}}, "was told stopped, it is complete"),
    ],
)
def test_judgement_finds(scene: Scene, wrong: dict[str, dict[str, Any]], found: str) -> None:
    for what, values in wrong.items():
        if what == "ledger":
            scene.ledger[0] |= values
        elif what == "reading":
            scene.reading = replace(scene.reading, **values)
        else:
            setattr(scene, what, getattr(scene, what) | values if values else {})
    assert any(found in violation for violation in scene.violations()), scene.violations()


def test_judgement_finds_a_second_charge_and_a_missing_one(scene: Scene) -> None:
    scene.ledger *= 2
    assert any("was charged 14 + 6 tokens" in violation for violation in scene.violations())
    scene.ledger = []
    assert any("was charged 0 + 0 tokens" in violation for violation in scene.violations())


def test_call_that_was_cut_is_charged_by_what_was_sent(scene: Scene) -> None:
    """Exactly, unless its process was killed."""
    scene.call.cancelled, scene.asked.stopped = True, True
    scene.reply |= {"status": "stopped"}
    scene.reading = replace(scene.reading, ending="stopped", status="stopped")
    assert any("was charged 7 + 3 tokens" in violation for violation in scene.violations())
    scene.ledger[0] |= {"prompt_tokens": 10}
    assert scene.violations() == []
    scene.ledger = []
    assert any("was charged 0 + 0 tokens" in violation for violation in scene.violations())
    with scene.book.fault("replica a: kill -9", "lost"):
        scene.call.started_at = scene.book.opened
        scene.reply |= {"cost_micro_usd": 0}
        assert not any("was charged" in violation for violation in scene.violations())


def test_refused_call_is_charged_where_nobody_told_of_the_refusal_alone(scene: Scene) -> None:
    scene.call.script["status"] = 500
    scene.reply |= {"status": "interrupted", "content": "", "cost_micro_usd": 0}
    scene.reading = replace(scene.reading, text="", ending="interrupted", status="interrupted")
    scene.ledger[0] |= {"prompt_tokens": 10, "completion_tokens": 0}
    assert any("was charged 10 + 0 tokens" in violation for violation in scene.violations())
    with scene.book.fault("replica a: kill -9", "lost"):
        scene.call.started_at = scene.call.ended_at = scene.book.opened
        assert not any("was charged" in violation for violation in scene.violations())
        scene.ledger[0] |= {"prompt_tokens": 100}
        assert any("was charged 100 + 0 tokens" in violation for violation in scene.violations())


def with_title(scene: Scene, marker: str = "0" * 32) -> None:
    """The title was asked for, in one call that is charged."""
    scene.asked.script["id"] = scene.call.script["id"] = marker
    scene.question |= {"content": json.dumps(scene.asked.script)}
    asked = {"messages": [{"content": "x" * 40}, {"content": f"<message>\n{scene.question['content']}\n</message>"}]}
    call = Call(asked, {"tokens": 3, "token": "title{} "}, scene.call.started_at, sent=3)
    call.ended_at = call.started_at + 1
    scene.titles = [call]
    title = {"reply_id": "t", "user_id": "user", "kind": "title", "cost_micro_usd": 1}
    scene.ledger.append(title | {"prompt_tokens": 7, "completion_tokens": 3})


def test_a_title_is_charged_once(scene: Scene) -> None:
    with_title(scene)
    assert scene.violations() == []
    scene.ledger.append(scene.ledger[-1])
    assert any("titles of user were charged 14 + 6 tokens in 2 entries" in found for found in scene.violations())
    del scene.ledger[1:]
    assert any("titles of user were charged 0 + 0 tokens in 0 entries" in found for found in scene.violations())


def test_a_title_of_an_unknown_text_is_found(scene: Scene) -> None:
    with_title(scene)
    scene.titles[0].body["messages"][1]["content"] = '<message>\n{"id": "' + "1" * 32 + '"}\n</message>'
    assert any("a title of what nobody has sent" in found for found in scene.violations())


def test_a_conversation_without_a_title_is_found(scene: Scene) -> None:
    scene.title = None
    assert scene.violations() == ["conversation c has a complete reply to m, and no title"]
    with scene.book.fault("Data API: restart", "supabase_unavailable"):
        assert scene.violations() == []
    scene.book.faults = []
    scene.reply |= {"status": "failed", "content": "", "error_code": "provider_unavailable"}
    assert not any("no title" in found for found in scene.violations())


def test_claude_tells_the_prompt_before_the_reply(scene: Scene) -> None:
    """So a reply that was cut is charged with what it said of the prompt."""
    scene.call.api, scene.call.cancelled, scene.asked.stopped = "claude", True, True
    scene.reply |= {"status": "stopped"}
    scene.reading = replace(scene.reading, ending="stopped", status="stopped")
    assert scene.violations() == []
    scene.ledger[0] |= {"prompt_tokens": 6}
    assert any("was charged 6 + 3 tokens" in found for found in scene.violations())


def test_judgement_finds_what_others_heard(scene: Scene) -> None:
    scene.heard = [("other", {"event": "conversation.updated", "payload": {"conversation_id": "c"}})]
    assert scene.violations() == ["other heard of c, a conversation of user"]


def test_refusal_is_excused_while_its_cause_lasts(scene: Scene) -> None:
    with scene.book.fault("Postgres: restart", "supabase_unavailable", after=5):
        pass
    scene.book.attempts = [Attempt("send", 1.0, 0.1, "supabase_unavailable")]
    assert scene.violations() == []
    scene.book.attempts = [Attempt("send", 1.0, 0.1, "draining"), Attempt("send", 9.0, 0.1, "supabase_unavailable")]
    assert scene.violations() == [
        "send at 1.0 s: draining, though nothing was broken",
        "send at 9.0 s: supabase_unavailable, though nothing was broken",
    ]


def test_errors_in_the_log_are_violations(scene: Scene) -> None:
    scene.log = ["api-0.log: task.failed"]
    assert scene.violations() == ["in the log: api-0.log: task.failed"]


def life(**last: float) -> Gauges:
    """A process that has run for ten minutes and rests now."""
    first = Sample(0.0, 100.0, 20, 5, 10, 500, 0)
    samples = [replace(first, at=float(at), busy=5) for at in range(1, 600)]
    grown = [replace(sample, **last) for sample in samples[450:]]
    samples = [first, *samples[:450], *grown, replace(grown[-1], at=600.0, busy=0)]
    stack: Any = None
    return Gauges(stack, lambda: 600.0, lives=[Life("a", 1, Path(), samples)])


def test_growth_is_found() -> None:
    assert list(not_flat(life())) == []
    [memory] = not_flat(life(rss_mb=100.0 + MOST_GROWTH_MB + 1))
    assert memory.startswith("the memory of replica a grew from 100 to 113 MB")
    assert list(not_flat(life(sockets=40))) == ["replica a holds 40 sockets when it is idle, 5 when it had started"]
    assert list(not_flat(life(tasks=99))) == ["replica a holds 99 tasks when it is idle, 10 when it had started"]


def test_picture_has_each_fault_and_each_replica() -> None:
    book = Book()
    with book.fault("replica a: kill -9", "lost"):
        pass
    svg = picture(book, life(), 600.0)
    assert "replica a: kill -9" in svg
    assert svg.count("<polyline") == 4


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--members", "0"], ["--write", "--minutes", "9"]])
def test_what_no_soak_can_be_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_page_has_a_soak_without_violations(tmp_path: Path) -> None:
    part = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert "No violations." in part
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text())
    write_between(copy, BEGIN, END, "anew")
    assert copy.read_text().replace("anew\n", part.removeprefix("\n\n")) == PAGE.read_text()
    with pytest.raises(ValueError, match="does not have the markers"):
        write_between(copy, BEGIN, "<!-- no such marker -->", "")
