"""The plan for an installation follows from its inputs and from what was measured, and docs/scaling.md shows it."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.simulate_scale import SIZES, Measured, Users, full_at, picture, plan, table

ROOT = Path(__file__).parents[1]
ASKED = Users(users=36_000, daily=0.5, turns=10, busiest=0.1, prompt_tokens=50, reply_tokens=300, speed=60)
"""180,000 turns a day, 5 a second in the busiest hour, 5 s for each reply."""


def test_rates_of_the_busiest_hour_follow_from_the_users() -> None:
    made = plan(ASKED)
    assert made.turns_a_second == pytest.approx(5)
    assert made.live_replies == pytest.approx(25)
    # 0.62 ms, 300 tokens, and 3.05 reads
    assert made.api_cores == pytest.approx(5 * (0.62 + 0.053 * 300 + 0.62 * 3.05) / 1000)
    # 4.3 ms, ten pieces, three pages, 0.05 searches and 0.3 retrievals
    assert made.db_cores == pytest.approx(5 * (4.3 + 0.08 * 10 + 1.7 * 3 + 2.5 * 0.05 + 2.0 * 0.3) / 1000)
    # ten pieces and five events, each sent once and delivered once
    assert made.realtime_messages == pytest.approx(5 * 15 * 2)
    assert made.realtime_a_month == pytest.approx(180_000 * 30 * 30)
    assert made.realtime_connections == pytest.approx(18_000 * 30 / 60 * 0.1)
    assert made.replicas == 2
    assert made.calls_a_second == pytest.approx(5 * (2 + 3.35) + 2 * 2)


def test_database_grows_by_what_is_said_and_kept() -> None:
    made = plan(ASKED)
    turn_kb = 2 * 0.45 + 3.6 * 4 * 350 / 1000 + 0.3
    assert made.growth_gb == pytest.approx(180_000 * 30 * turn_kb / 1e6)
    assert made.database_gb == pytest.approx(12 * made.growth_gb + 36_000 * 50 * 11.2 / 1e6)
    assert plan(dataclasses.replace(ASKED, months=6)).database_gb < made.database_gb
    assert plan(dataclasses.replace(ASKED, passages=0)).database_gb == pytest.approx(12 * made.growth_gb)


def test_ten_times_the_users_need_ten_times_as_much() -> None:
    small, large = plan(ASKED), plan(dataclasses.replace(ASKED, users=360_000))
    for part, tenfold in zip(small.needs(), large.needs(), strict=True):
        if part.part != "Postgres connections":
            assert tenfold.need == pytest.approx(10 * part.need), part.part
    assert [full_at(ASKED, part) for part in small.needs()][:3] == [
        full_at(dataclasses.replace(ASKED, users=360_000), part) for part in large.needs()
    ][:3]


def test_replicas_follow_from_cores_and_from_streams() -> None:
    many = dataclasses.replace(ASKED, users=36_000_000)
    # 5,000 turns a second
    assert plan(many).replicas == math.ceil(plan(many).api_cores / 0.6)
    slow = dataclasses.replace(many, speed=1)
    assert plan(slow).live_replies == pytest.approx(1_500_000)
    assert plan(slow).replicas == 1_250
    cheap = Measured(api_turn_ms=0, api_token_ms=0, api_read_ms=0)
    assert plan(ASKED, cheap).replicas == 2


def test_smallest_size_that_is_enough_is_chosen() -> None:
    assert plan(Users(users=100)).size() == SIZES[0]
    sizes = [plan(dataclasses.replace(ASKED, users=users)).size() for users in (100, 10_000, 60_000, 100_000)]
    places = [SIZES.index(size) for size in sizes if size is not None]
    assert len(places) == len(set(places)) == 4
    assert places == sorted(places)
    assert plan(dataclasses.replace(ASKED, users=100_000_000)).size() is None


def test_users_beyond_one_project_are_shared_by_several() -> None:
    many = dataclasses.replace(ASKED, users=36_000_000)
    made = plan(many)
    fullest = made.needs()[0]
    assert made.projects() == math.ceil(fullest.need / fullest.most) > 1
    assert made.dollars(many.users) is None
    assert plan(ASKED).projects() == 1


def test_cost_is_the_sum_of_its_parts() -> None:
    parts = plan(ASKED).dollars(ASKED.users)
    assert parts is not None
    size = plan(ASKED).size()
    assert size is not None
    assert parts["compute"] == size.dollars - 10
    # 162 million messages, of which 5 are included
    assert parts["Realtime messages"] == 157 * 2.5
    assert parts["active users"] == 0
    assert f"${sum(parts.values()):,.0f}" in table(ASKED)


def test_replies_over_sse_alone_need_no_realtime() -> None:
    made = plan(dataclasses.replace(ASKED, devices=0))
    assert (made.realtime_messages, made.realtime_connections, made.realtime_a_month) == (0, 0, 0)
    assert "Realtime messages | " not in table(dataclasses.replace(ASKED, devices=0))


def test_documented_tables_and_picture_are_what_the_script_says() -> None:
    said = (ROOT / "docs" / "scaling.md").read_text()
    assert table(Users()) in said
    assert table(Users(users=1_000_000, devices=0)) in said
    drawn = (ROOT / "docs" / "images" / "scale-limits.svg").read_text()
    assert drawn == picture(Users())
    assert all(f">{part.part}</text>" in drawn for part in plan(Users()).needs())


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "many"])
def test_wrong_number_is_refused(value: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.simulate_scale", "--users", value],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "--users" in ran.stderr
