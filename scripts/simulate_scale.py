"""What an installation of a size needs, from what was measured: `make scale-plan ARGS="--users 100000"`.

Says for the busiest hour how many turns, replicas, connections and Realtime messages there are, how the database grows,
what it costs on hosted Supabase, and which part is full first. `--svg` writes the picture of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import math
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

DAY, MONTH_DAYS = 86_400, 30


@dataclass(frozen=True)
class Users:
    """Who uses it, and how."""

    users: int = 100_000
    """users a month"""
    daily: float = 0.3
    """share of them on a day"""
    turns: float = 8
    """turns of such a user a day"""
    busiest: float = 0.1
    """share of a day's turns in its busiest hour"""
    prompt_tokens: int = 60
    """tokens of a message"""
    reply_tokens: int = 350
    """tokens of a reply"""
    speed: float = 60
    """tokens a second of a reply"""
    devices: float = 1
    """devices of a user that listen to Realtime meanwhile; 0: replies are read over SSE alone"""
    minutes: float = 30
    """minutes a day for which a device of such a user is connected"""
    pages: float = 3
    """lists and pages of messages read for each turn"""
    searches: float = 0.05
    """searches over conversations for each turn"""
    rag: float = 0.3
    """share of turns with a search in documents"""
    passages: float = 50
    """passages of documents of a user"""
    months: float = 12
    """months that conversations are kept"""
    hot_days: float = 7
    """days of conversations that are read again and again, and belong into memory"""


@dataclass(frozen=True)
class Measured:
    """Figures of this repository, each with its command. Milliseconds are processor time of one core."""

    api_turn_ms: float = 0.62
    """`make bench-peers`: a turn whose tokens come at once"""
    api_token_ms: float = 0.053
    """`make bench-peers`: each token that comes by itself, (3.77 - 0.62) / 60"""
    api_read_ms: float = 0.62
    """no more than a turn's"""
    process_mb: float = 77
    """`make bench-peers`: idle"""
    stream_kb: float = 45.7
    """`make bench-peers`: of an open stream"""
    process_streams: int = 2_000
    """replies that a process takes (docs/architecture.md, limits)"""
    journal_calls: float = 2
    """`make bench`: calls a second of a process, however many replies"""
    db_turn_ms: float = 4.3
    """`make bench-scale`: begin_turn, one piece and finish_replies"""
    db_piece_ms: float = 0.08
    """a piece of a reply in a journal call of 200, with its Realtime message"""
    db_page_ms: float = 1.7
    """`make bench-scale`: a page of 40 messages"""
    db_search_ms: float = 2.5
    """`make bench-scale`: a frequent word, of an owner of 10,000 messages"""
    db_retrieve_ms: float = 2.0
    """`make bench-scale`: retrieve, with 1,000 passages"""
    message_kb: float = 0.45
    """`make bench-scale`: a row of messages with its indexes, without its text"""
    text_factor: float = 3.6
    """`make bench-conversations`: (0.7 + 1.0 + 0.8) / 0.7, text, words and their index to the text"""
    token_bytes: float = 4
    """of a token's text"""
    ledger_kb: float = 0.3
    """a row of the ledger with its indexes"""
    passage_kb: float = 11.2
    """`make bench-search`: row of 1,536 dimensions and its part of the HNSW index, (1,889 + 215) MB / 187,179"""


class Size(NamedTuple):
    """A compute size of hosted Supabase: dollars a month, cores, GB of memory, connections of the database."""

    name: str
    dollars: float
    cores: int
    memory_gb: float
    connections: int


# https://supabase.com/docs/guides/platform/compute-and-disk, as of its version 02a13c9be470 in supabase/supabase
SIZES = (
    Size("Micro", 10, 2, 1, 60),
    Size("Small", 15, 2, 2, 90),
    Size("Medium", 60, 2, 4, 120),
    Size("Large", 110, 2, 8, 160),
    Size("XL", 210, 4, 16, 240),
    Size("2XL", 410, 8, 32, 380),
    Size("4XL", 960, 16, 64, 480),
    Size("8XL", 1_870, 32, 128, 490),
    Size("12XL", 2_800, 48, 192, 500),
    Size("16XL", 3_730, 64, 256, 500),
)
BURSTING = 4
"""The first of them only burst to both of their cores: half of one is planned with."""
# https://supabase.com/docs/guides/realtime/limits: Pro without a spend cap, and Team; more by contract
REALTIME_MESSAGES, REALTIME_CONNECTIONS, REALTIME_JOINS = 2_500, 10_000, 2_500
# gp3; io2 has 60,000
DISK_GB = 16_000
FULL = 0.6
"""How full a core is planned to be in the busiest hour."""


class Need(NamedTuple):
    """What one part needs in the busiest hour, and what one project of hosted Supabase has at most."""

    part: str
    need: float
    most: float
    unit: str


@dataclass(frozen=True)
class Plan:
    """What an installation needs. Rates are those of the busiest hour."""

    turns_a_second: float
    live_replies: float
    api_cores: float
    replicas: int
    api_memory_gb: float
    calls_a_second: float
    db_cores: float
    db_connections: float
    realtime_messages: float
    realtime_connections: float
    realtime_joins: float
    database_gb: float
    growth_gb: float
    memory_gb: float
    realtime_a_month: float

    def needs(self) -> list[Need]:
        """The parts of a project that can be full, the fullest first."""
        largest = SIZES[-1]
        parts = [
            Need("Realtime messages", self.realtime_messages, REALTIME_MESSAGES, "a second"),
            Need("Realtime connections", self.realtime_connections, REALTIME_CONNECTIONS, "at once"),
            Need("Realtime joins", self.realtime_joins, REALTIME_JOINS, "a second"),
            Need("Postgres CPU", self.db_cores, largest.cores * FULL, "cores"),
            Need("Postgres connections", self.db_connections, largest.connections * FULL, "busy"),
            Need("Postgres memory", self.memory_gb, largest.memory_gb * 0.75, "GB"),
            Need("Disk (gp3)", self.database_gb, DISK_GB, "GB"),
        ]
        return sorted(parts, key=lambda part: part.need / part.most, reverse=True)

    def size(self) -> Size | None:
        """The smallest compute size that is enough for Postgres; None when one project has none."""
        for place, size in enumerate(SIZES):
            cores = size.cores / 4 if place < BURSTING - 1 else size.cores
            if (
                self.db_cores <= cores * FULL
                and self.memory_gb <= size.memory_gb * 0.75
                and self.db_connections <= size.connections * FULL
            ):
                return size
        return None

    def projects(self) -> int:
        """How many projects of the largest size it takes."""
        return max(1, math.ceil(max(part.need / part.most for part in self.needs())))

    def dollars(self, users: int) -> dict[str, float] | None:
        """Dollars a month by what they are for, on Pro, of one project. None when one is not enough."""
        size = self.size()
        if size is None or self.projects() > 1:
            return None
        return {
            "plan": 25,
            # each paid plan has $10 of compute
            "compute": size.dollars - 10,
            # 8 GB are included; a fifth is left free
            "disk": max(0.0, self.database_gb * 1.25 - 8) * 0.125,
            "Realtime messages": max(0, math.ceil((self.realtime_a_month - 5e6) / 1e6)) * 2.5,
            "Realtime connections": max(0, math.ceil((self.realtime_connections - 500) / 1_000)) * 10,
            "active users": max(0, users - 100_000) * 0.00325,
        }


def plan(asked: Users, cost: Measured = Measured()) -> Plan:
    """The arithmetic. Everything grows with the users in proportion, except whole replicas."""
    turns_a_day = asked.users * asked.daily * asked.turns
    turns = turns_a_day * asked.busiest / 3_600
    seconds = asked.reply_tokens / asked.speed
    live = turns * seconds
    pieces = seconds * cost.journal_calls
    api = turns * (
        cost.api_turn_ms + cost.api_token_ms * asked.reply_tokens + cost.api_read_ms * (asked.pages + asked.searches)
    )
    replicas = max(2, math.ceil(api / 1_000 / FULL), math.ceil(live / (cost.process_streams * FULL)))
    db = turns * (
        cost.db_turn_ms
        + cost.db_piece_ms * pieces
        + cost.db_page_ms * asked.pages
        + cost.db_search_ms * asked.searches
        + cost.db_retrieve_ms * asked.rag
    )
    # a piece is sent once and delivered to each device, and so is what begins and ends a turn: created, started,
    # completed, and two of the conversation
    told = (pieces + 5) * (1 + asked.devices) if asked.devices else 0.0
    messages_kb = (
        2 * cost.message_kb + cost.text_factor * cost.token_bytes * (asked.prompt_tokens + asked.reply_tokens) / 1_000
    )
    turn_gb = (messages_kb + cost.ledger_kb) / 1e6
    growth = turns_a_day * MONTH_DAYS * turn_gb
    documents = asked.users * asked.passages * cost.passage_kb / 1e6
    return Plan(
        turns_a_second=turns,
        live_replies=live,
        api_cores=api / 1_000,
        replicas=replicas,
        api_memory_gb=(replicas * cost.process_mb + live * cost.stream_kb / 1_000) / 1_000,
        calls_a_second=turns * (2 + asked.pages + asked.searches + asked.rag) + replicas * cost.journal_calls,
        db_cores=db / 1_000,
        # a call holds its connection for as long as it computes, and as long again for commits and the network
        db_connections=2 * db / 1_000 + replicas * 0.1,
        realtime_messages=turns * told,
        realtime_connections=asked.users * asked.daily * asked.minutes / 60 * asked.busiest * asked.devices,
        realtime_joins=turns * asked.devices,
        database_gb=growth * asked.months + documents,
        growth_gb=growth,
        # the conversations of the last days, and the documents of those who are there on a day
        memory_gb=growth * asked.hot_days / MONTH_DAYS + documents * asked.daily,
        realtime_a_month=turns_a_day * MONTH_DAYS * told,
    )


def table(asked: Users) -> str:
    """The plan as Markdown."""
    made = plan(asked)
    size, dollars = made.size(), made.dollars(asked.users)
    rows = [
        ("turns a second, in the busiest hour", f"{made.turns_a_second:,.1f}"),
        ("replies that are being written", f"{made.live_replies:,.0f}"),
        ("API: cores busy", f"{made.api_cores:,.2f}"),
        ("API: replicas of one core (two at least)", f"{made.replicas:,}"),
        ("API: memory of all", f"{made.api_memory_gb:,.1f} GB"),
        ("calls of the Data API a second", f"{made.calls_a_second:,.0f}"),
        ("Postgres: cores busy", f"{made.db_cores:,.2f}"),
        ("Postgres: connections busy", f"{made.db_connections:,.1f}"),
        ("Postgres: memory for what is hot", f"{made.memory_gb:,.1f} GB"),
        ("Realtime: messages a second", f"{made.realtime_messages:,.0f}"),
        ("Realtime: connections", f"{made.realtime_connections:,.0f}"),
        ("database", f"{made.database_gb:,.0f} GB, {made.growth_gb:,.1f} GB more each month"),
        ("compute size", size.name if size else "none is enough"),
        ("projects", f"{made.projects():,}"),
    ]
    if dollars is not None:
        parts = ", ".join(f"{what} ${cost:,.0f}" for what, cost in dollars.items())
        rows.append(("Supabase a month, without the API's hosts", f"${sum(dollars.values()):,.0f} ({parts})"))
    lines = [f"| {asked.users:,} users a month | |", "|---|---|", *(f"| {what} | {said} |" for what, said in rows)]
    lines += ["", "| part of one project | needed | at most | full at users |", "|---|---|---|---|"]
    lines += [
        f"| {part.part} | {part.need:,.2f} {part.unit} | {part.most:,.0f} | {full_at(asked, part):,} |"
        for part in made.needs()
        if part.need > 0
    ]
    return "\n".join(lines)


def full_at(asked: Users, part: Need) -> int:
    """Users a month with whom this part of one project is full, to two digits."""
    users = asked.users * part.most / part.need
    return int(round(users, 1 - int(math.log10(users))))


def picture(asked: Users) -> str:
    """An SVG: how many users each part of one project is enough for, on a scale of tens."""
    parts = [part for part in plan(asked).needs() if part.need > 0]
    left, width, row = 190, 460, 30
    bars = []
    for place, part in enumerate(parts):
        users = full_at(asked, part)
        long = width * (math.log10(users) - 3) / 6
        y = 40 + place * row
        bars.append(
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{part.part}</text>'
            f'<rect x="{left}" y="{y}" width="{max(2.0, long):.0f}" height="20" rx="3" fill="#3b82a0"/>'
            f'<text x="{left + max(2.0, long) + 6:.0f}" y="{y + 15}">{users:,}</text>'
        )
    height = 50 + len(parts) * row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" font-family="system-ui, sans-serif" '
        f'font-size="13" fill="#444"><rect width="760" height="{height}" fill="#fff"/>'
        f'<text x="{left}" y="22" font-weight="600">Users a month with whom a part of one project is full</text>'
        + "".join(bars)
        + "</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make scale-plan", description=__doc__)
    said = docs_of(Users)
    for each in fields(Users):
        kind = int if isinstance(each.default, int) else float
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            type=kind,
            default=each.default,
            help=f"{said[each.name]} ({each.default:,})",
        )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture to a file")
    options = vars(parser.parse_args())
    drawn = options.pop("svg")
    for name, value in options.items():
        if not 0 <= value < math.inf or (value == 0 and name in ("users", "daily", "turns", "busiest", "speed")):
            parser.error(f"argument --{name.replace('_', '-')}: {value} is not allowed: a number above 0")
    asked = Users(**options)
    print(table(asked))
    if drawn is not None:
        drawn.write_text(picture(asked))


def docs_of(cls: type) -> dict[str, str]:
    """What the source says below each field."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: text.value.value
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


if __name__ == "__main__":
    main()
