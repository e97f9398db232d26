"""The attacks still run, a bound that is missed is an error, and docs/security.md names tests that exist."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.attack import report
from scripts.attack.__main__ import main, status
from scripts.attack.bounds import Attack, Bound, Result
from scripts.attack.bystander import Measured
from scripts.attack.target import Target

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "docs" / "security.md").read_text()
THREATS = [line for line in SECURITY.partition("## What is not covered")[0].splitlines() if line.startswith("| ")][1:]


@pytest.mark.stack
async def test_small_attacks_run_and_are_reported() -> None:
    """The whole script: its stack, its provider, the other user, the report."""
    command = [sys.executable, "-m", "scripts.attack", "--quick", "--only", "deletion", "tiny-headers"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    output, errors = (text.decode() for text in await asyncio.wait_for(process.communicate(), 110))
    rows = output.splitlines()
    assert "held    " in errors
    # what the machine is busy with may delay the other user, but what is sent is charged
    charged = r"([\d,]+) calls of the provider with ([\d,]+) prompt tokens; charged \1 with \2 \|"
    assert re.search(charged, rows[3]), errors
    assert re.search(r"\| \d+ MB were sent on (\d+) connections \(431: \1\) \|", rows[4]), errors
    assert process.returncode == (1 if "MISSED" in errors else 0)


async def _nothing(target: Target, size: float) -> list[Bound]:
    return []


ATTACK = Attack("some", "Somebody does something", _nothing)
HELD, MISSED = Bound("1 call", "at most 1", held=True), Bound("3 calls", "at most 2", held=False)


@pytest.mark.parametrize(("bounds", "code"), [([HELD], 0), ([HELD, MISSED], 1)])
def test_missed_bound_is_an_exit_code_and_a_line(
    bounds: list[Bound], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status([Result(ATTACK, bounds)]) == code
    assert capsys.readouterr().err == ("missed: some: 3 calls (allowed: at most 2)\n" if code else "")


def measured(*first_token: float, failed: str | None = None) -> Measured:
    return Measured(list(first_token), [0.001] * 3, [0.05] * 3, [failed] if failed else [])


@pytest.mark.parametrize(
    ("meanwhile", "grown", "missed"),
    [
        (measured(0.5, 0.9), 99_000_000, []),
        (measured(0.5, 1.2), 0, ["another user's first token after 1,165 ms at p95, usually 10 ms"]),
        (measured(0.5), 100_000_000, ["100 MB more memory"]),
        (measured(0.5, failed="a send"), 0, ["1 requests of another user failed a send"]),
        # nobody was served at all
        (Measured(), 0, ["another user's first token after 0 ms at p95, usually 10 ms", "health after 0 ms at p95"]),
    ],
)
def test_bounds_that_hold_for_every_attack(meanwhile: Measured, grown: int, missed: list[str]) -> None:
    bounds = report.beside(measured(0.01, 0.01), meanwhile, grown)
    seen = [bound.seen for bound in bounds if not bound.held]
    assert [text[: len(start)] for text, start in zip(seen, missed, strict=True)] == missed


def test_bound_that_is_missed_stands_out_in_the_table(tmp_path: Path) -> None:
    beside = report.beside(measured(0.01), measured(5.0), 0)
    text = report.table(
        ["10 ms", "1 ms", "50 ms", ""], [Result(ATTACK, [MISSED, *beside], ["5,000 ms", "1 ms", "", ""])]
    )
    assert "**missed:** 3 calls; **missed:** another user's first token after 5,000 ms" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nan old table\n{report.END}\nafter\n")
    report.write(text, page)
    assert page.read_text() == f"before\n{report.BEGIN}\n\n{text}\n{report.END}\nafter\n"


@pytest.mark.parametrize("arguments", [["--write", "--quick"], ["--write", "--only", "header"]])
def test_only_all_attacks_in_full_are_written(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_page_has_a_row_for_each_attack_and_none_that_missed_its_bound() -> None:
    table = SECURITY.partition(report.BEGIN)[2].partition(report.END)[0]
    done = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if line.startswith("| ")]
    assert done[2:] == [attack.done for attack in report.ATTACKS]
    assert "missed" not in table


@pytest.mark.parametrize("threat", THREATS, ids=lambda row: row.split(" | ")[1])
def test_tests_that_are_named_for_a_threat_exist(threat: str) -> None:
    named = re.findall(r"`(tests/[^`]+)`", threat.split(" | ")[3])
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_kind_of_attacker_is_there() -> None:
    assert len([row for row in THREATS if row.startswith("| **")]) == 6
