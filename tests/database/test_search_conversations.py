"""search_conversations: what is found, what is marked, what is not another user's, and how the index is kept."""

# the marks of other scripts are what this is about
# ruff: noqa: RUF001

from __future__ import annotations

import html
import re
import unicodedata
import uuid
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.callers import (
    ANON,
    NOBODY,
    SERVICE,
    Caller,
    Connection,
    acting,
    new_conversation,
    new_user,
    one,
    rpc,
)
from tests.support.turn_functions import answered, expire, final, finish, journal, piece, recover, send

Hit = dict[str, Any]

# what is written in one conversation each, and the probes: what is asked, and what is marked
CORPUS: dict[str, tuple[str, list[tuple[str, list[str]]]]] = {
    "Latin": (
        "Das Haus mit der „Façade“ in der Straße, sagte er; naïve Ärzte.",
        [
            ("façade", ["Façade"]),
            ("FACADE", ["Façade"]),
            ("strasse", ["Straße"]),
            ("stras", ["Straß"]),
            ("arzte", ["Ärzte"]),
        ],
    ),
    "Vietnamese": ("Thủ đô của Việt Nam là Hà Nội.", [("viet nam", ["Việt", "Nam"]), ("hà nội", ["Hà", "Nội"])]),
    "Turkish": ("Işık İstanbul'da yandı.", [("istanbul", ["İstanbul"]), ("ışık", ["Işık"])]),
    "Cyrillic": ("Он сказал: “Кремль”… Ёлка зелёная.", [("кремль", ["Кремль"]), ("елка", ["Ёлка"]), ("зел", ["зел"])]),
    "Greek": ("Η πρωτεύουσα είναι η «Αθήνα»·", [("αθηνα", ["Αθήνα"]), ("ΠΡΩΤΕΎΟΥΣΑ", ["πρωτεύουσα"])]),
    "Armenian": ("Մայրաքաղաքն է «Երևան»։", [("երևան", ["Երևան"])]),
    "Hebrew": ("הוא אמר “יְרוּשָׁלַיִם”.", [("ירושלים", ["יְרוּשָׁלַיִם"])]),
    "Arabic": ("قال: «القَاهِرة»، ثم ذهب إلى أسوان؟", [("القاهرة", ["القَاهِرة"]), ("اسوان", ["أسوان"])]),
    "Devanagari": ("उसने कहा “हिन्दी”।", [("हिन्दी", ["हिन्दी"]), ("हिन्", ["हिन्"])]),
    "Tamil": ("தலைநகரம் ‘சென்னை’.", [("சென்னை", ["சென்னை"])]),
    "Georgian": ("დედაქალაქია „თბილისი“.", [("თბილისი", ["თბილისი"]), ("თბილ", ["თბილ"])]),
    "Ethiopic": ("ዋና ከተማ፡«አዲስ»።", [("አዲስ", ["አዲስ"])]),
    "Thai": ("เมืองหลวงคือ “กรุงเทพ”ครับ", [("กรุงเทพ", ["กรุงเทพ"]), ("กรุง", ["กรุง"]), ("หลวง", ["หลวง"])]),
    "Khmer": ("រាជធានី«ភ្នំពេញ»។", [("ភ្នំពេញ", ["ភ្នំពេញ"])]),
    "Korean": ("나는 서울에서 삽니다.", [("서울", ["서울"]), ("울에", ["울에"]), ("삽니다", ["삽니다"])]),
    "Chinese": ("首都是“北京”，我们昨天去看了长城。", [("北京", ["北京"]), ("长城", ["长城"]), ("昨天去", ["昨天去"])]),
    "Japanese": (
        "昨日は東京タワーに行きました。ﾃﾚﾋﾞとカメラ。",
        [
            ("東京", ["東京"]),
            ("タワー", ["タワー"]),
            ("東京タワー", ["東京タワー"]),
            ("ﾀﾜｰ", ["タワー"]),
            ("テレビ", ["ﾃﾚﾋﾞ"]),
        ],
    ),
    "code": (
        "start main.py: vector<int> v; if (a<b && c>d) snake_case++; #include <stdio.h>",
        [("int", ["int"]), ("a<b", ["a", "b"]), ("main", ["main"]), ("stdio.h", ["stdio", "h"]), ("case", ["case"])],
    ),
    "names": (
        "write to bob@example.com about Order XK-4711, C++ and R&D; -5 degrees",
        [
            ("bob", ["bob"]),
            ("example.com", ["example", "com"]),
            ("4711", ["4711"]),
            ("xk-4711", ["XK", "4711"]),
            ("XK 47", ["XK", "47"]),
            ("c++", ["C++"]),
            ("R&D", ["R", "D"]),
            ("5", ["5"]),
        ],
    ),
    "Arabic digits": ("في عام ٢٠٢٦، أو ۱۴۰۴", [("2026", ["٢٠٢٦"]), ("٢٠", ["٢٠"]), ("١٤٠٤", ["۱۴۰۴"])]),
    "Thai digits": ("พ.ศ. ๒๕๖๙", [("2569", ["๒๕๖๙"])]),
    "nukta": (
        "मैं क़लम और फ\u093cिल्म लाऊँगा १२३४",
        [("कलम", ["क़लम"]), ("फिल्म", ["फ\u093cिल्म"]), ("\u095eिल्म", ["फ\u093cिल्म"]), ("1234", ["१२३४"])],
    ),
    "letters in parts": (
        unicodedata.normalize("NFD", "대한민국 만세, கொக்கு"),
        [(query, [unicodedata.normalize("NFD", query)]) for query in ("대한", "만세", "கொக்")],
    ),
    "letters in one": ("The oﬃce of Henry Ⅷ", [("office", ["oﬃce"]), ("off", ["oﬃ"]), ("viii", ["Ⅷ"])]),
    "versions": ("Now v7.31.0-beta is out.", [("7.31", ["31"]), ("v7.31", ["v7", "31"]), ("V7", ["v7"])]),
    "signs": ("E = mc² in µm, by 𐐔𐐯𐑅", [("mc2", ["mc²"]), ("μm", ["µm"]), ("𐐼𐐯𐑅", ["𐐔𐐯𐑅"])]),
}
PROBES = [(script, query, marks) for script, (_, probes) in CORPUS.items() for query, marks in probes]


def write(db: Connection, user: Caller, content: str, conversation: UUID | None = None, age: str = "0") -> UUID:
    """A message of the user's that is just there."""
    message: UUID = one(
        db,
        "insert into public.messages (conversation_id, user_id, role, content, created_at) "
        "values (%s, %s, 'user', %s, now() - %s::interval) returning id",
        [conversation or new_conversation(db, user), user.id, content, age],
    )
    return message


def search(db: Connection, user: Caller, query: str, **arguments: object) -> list[Hit]:
    with acting(db, user):
        found: list[Hit] = one(
            db,
            "select coalesce(jsonb_agg(s), '[]') from public.search_conversations(%s, %s, %s) as s",
            [query, arguments.get("match_count", 20), arguments.get("after")],
        )
    return found


def messages(hits: list[Hit]) -> list[str]:
    return [hit["message_id"] for hit in hits]


def marked(snippet: str) -> list[str]:
    """What is between the marks, as it was written."""
    return [html.unescape(part) for part in re.findall("<mark>(.*?)</mark>", snippet)]


def unmarked(snippet: str) -> str:
    return html.unescape(re.sub("</?mark>", "", snippet))


@pytest.fixture(scope="module")
def polyglot(connection: Connection) -> Any:
    """Somebody who has a conversation for each text of the corpus."""
    person = new_user(connection)
    yield person, {script: write(connection, person, text) for script, (text, _) in CORPUS.items()}
    connection.execute("delete from auth.users where id = %s", [person.id])


def test_there_are_enough_probes() -> None:
    assert len(PROBES) >= 40
    assert len(CORPUS) >= 12


@pytest.mark.parametrize(("script", "query", "marks"), PROBES, ids=lambda value: str(value))
def test_probe(connection: Connection, polyglot: Any, script: str, query: str, marks: list[str]) -> None:
    person, written = polyglot
    hits = search(connection, person, query)
    assert messages(hits) == [str(written[script])]
    assert marked(hits[0]["snippet"]) == marks
    assert unmarked(hits[0]["snippet"]) == CORPUS[script][0]


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("tea", "milk"),
        ("teapot", "pot"),
        ("only tea", "tea milk"),
        ("京東", "東京"),
        ("東の京", "東京"),
        ("東京と京都の東", "東京都"),
        ("서늘한 울산", "서울"),
        ("abstract", "a"),
        ("a cat", "c++"),
        ("tea", "te:*' | 'x"),
        ("tea", "!milk"),
    ],
)
def test_what_is_not_there(db: Connection, owner: Caller, content: str, query: str) -> None:
    write(db, owner, content)
    assert search(db, owner, query) == []


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("the who", "The Who"),
        ("foo bar", "foo-bar"),
        ("foo-bar", "foo bar"),
        ("foo\u2011bar", "foo-bar"),
        ("ＡＢＣ１２３", "abc123"),
        ("cafe\u0301", "café"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth", "zerowidth"),
        ("緑茶", "茶"),
        ("茶色", "茶"),
        ("2024年", "2024年"),
        ("don’t panic", "don't"),
        ("x" * 50 + "y", "x" * 50),
        ("https://example.com/docs/setup?page=2", "setup"),
        ("C:\\folder\\file", "folder"),
        ("fish &amp; chips", "chips"),
        ("F# and c#", "C#"),
    ],
)
def test_what_is_there(db: Connection, owner: Caller, content: str, query: str) -> None:
    message = write(db, owner, content)
    assert messages(search(db, owner, query)) == [str(message)]


def test_titles_are_found_and_come_before_messages(db: Connection, owner: Caller) -> None:
    message = write(db, owner, "Rome in May")
    conversation = one(
        db, "insert into public.conversations (user_id, title) values (%s, 'A trip to Rome') returning id", [owner.id]
    )
    title, text = search(db, owner, "rome")
    assert (title["message_id"], title["role"], title["conversation"]["id"]) == (None, None, str(conversation))
    assert (text["message_id"], text["role"]) == (str(message), "user")
    assert title["snippet"] == "A trip to <mark>Rome</mark>"


def test_a_title_that_changes_is_found_as_it_is_now(db: Connection, owner: Caller) -> None:
    conversation = new_conversation(db, owner)
    with acting(db, owner):
        db.execute("update public.conversations set title = 'after' where id = %s", [conversation])
    assert (len(search(db, owner, "before")), len(search(db, owner, "after"))) == (0, 1)
    with acting(db, owner):
        db.execute("update public.conversations set title = null where id = %s", [conversation])
    assert search(db, owner, "after") == []


def test_snippets_are_safe_in_html(db: Connection, owner: Caller) -> None:
    content = "</mark><script>alert('x')</script> \u0001tea\u0002 & \"milk\" <mark>"
    write(db, owner, content)
    [hit] = search(db, owner, "tea")
    assert marked(hit["snippet"]) == ["tea"]
    assert unmarked(hit["snippet"]) == content.replace("\u0001", "").replace("\u0002", "")
    assert set(re.findall("<[^>]*>", hit["snippet"])) == {"<mark>", "</mark>"}


def test_a_snippet_is_cut_from_around_the_words(db: Connection, owner: Caller) -> None:
    write(db, owner, f"{'before ' * 2000}needle {'behind ' * 300}")
    [hit] = search(db, owner, "needle")
    assert re.fullmatch("…(before )+<mark>needle</mark>( behind)+…", hit["snippet"])
    assert len(hit["snippet"]) < 250


def test_a_snippet_is_cut_from_around_the_longest_word(db: Connection, owner: Caller) -> None:
    write(db, owner, f"{'a word ' * 100}needle{' a word' * 100}")
    [hit] = search(db, owner, "a needle")
    assert "needle" in marked(hit["snippet"])


def test_a_query_of_many_words(db: Connection, owner: Caller) -> None:
    """As many as there can be: 100 different ones."""
    words = [
        chr(place) for place in (*range(0x61, 0x7B), *range(0x430, 0x450), *range(0x561, 0x580), *range(0x10D0, 0x10DB))
    ]
    folded = sorted({word for word in words if word not in "йыё"})
    message = write(db, owner, " ".join(reversed(folded)) + " tea")
    [hit] = search(db, owner, " ".join(folded))
    assert hit["message_id"] == str(message)
    assert len(marked(hit["snippet"])) == len(folded)


def test_newer_texts_come_first_and_whole_words_before_beginnings(db: Connection, owner: Caller) -> None:
    old, new = write(db, owner, "tea at four", age="2 days"), write(db, owner, "tea at five")
    begins = write(db, owner, "teapot at five")
    assert messages(search(db, owner, "tea")) == [str(new), str(old), str(begins)]
    ancient = write(db, owner, "tea at six", age="1 year")
    assert messages(search(db, owner, "tea")) == [str(new), str(old), str(begins), str(ancient)]


def in_stretches(db: Connection, user: Caller, number: int) -> None:
    """As if the user's texts were many: so many stretches, of which each has some of them."""
    db.execute(
        "update private.searched_texts set ordinal = ordinal + 2048 * (id %% %(number)s), "
        "words = array_to_tsvector(array(select replace(w.word, private.stretch_of(user_id, 0), "
        "private.stretch_of(user_id, id %% %(number)s)) from unnest(tsvector_to_array(words)) as w (word))) "
        "where user_id = %(user)s",
        {"number": number, "user": user.id},
    )


@pytest.mark.parametrize("query", ["okapi tea", "te OKAPIS", "tea 京都"])
def test_rare_word_beside_a_frequent_one_is_found_in_every_stretch(db: Connection, owner: Caller, query: str) -> None:
    """Rare in most stretches, and in one in more texts than are read one by one."""
    conversation = new_conversation(db, owner)
    for number in range(160):
        write(
            db, owner, f"tea {number} okapis 京都" if number in (3, 44, 45) or number % 8 == 2 else "tea", conversation
        )
    in_stretches(db, owner, 8)
    held = one(
        db,
        "select count(*) from private.searched_texts where user_id = %s and words::text ~ 'okapis'",
        [owner.id],
    )
    assert held == 23
    found: list[str] = []
    after = None
    while True:
        page = search(db, owner, query, match_count=5, after=after)
        found += messages(page)
        if len(page) < 5:
            break
        after = page[-1]["cursor"]
    assert len(found) == len(set(found)) == held
    assert search(db, owner, "tea zebra") == []


def test_what_is_a_rare_word(db: Connection, owner: Caller) -> None:
    conversation = new_conversation(db, owner)
    for number in range(20):
        write(db, owner, "tea okapi" if number % 2 else "tea elephants", conversation)

    def rare(query: str, last: str | None = None) -> str | None:
        term: str | None = one(
            db,
            "select (private.rare_term(%s, 0, private.search_terms(%s), (private.search_terms(%s))[1])).letters",
            [owner.id, query, last],
        )
        return term

    # the longest one that at most 16 texts have
    assert [rare("tea okapi"), rare("tea okap eleph"), rare("te t"), rare("tea zz")] == ["okapi", "eleph", "t", "zz"]
    assert (rare("tea okapi", "tea"), rare("tea okapi", "okapi")) == (None, "okapi")


def test_pages_hold_each_hit_once_while_more_is_written(db: Connection, owner: Caller) -> None:
    conversation = new_conversation(db, owner)
    written = [str(write(db, owner, f"tea {number}", conversation)) for number in range(25)]
    in_stretches(db, owner, 3)
    found: list[str] = []
    after = None
    for _ in range(10):
        page = search(db, owner, "tea", match_count=4, after=after)
        found += messages(page)
        write(db, owner, "more tea", conversation)
        if len(page) < 4:
            break
        after = page[-1]["cursor"]
    assert len(found) == len(set(found))
    assert set(written) <= set(found)


def test_another_users_texts_are_not_found(db: Connection, owner: Caller, stranger: Caller) -> None:
    write(db, stranger, "secret tea")
    mine = write(db, owner, "my tea")
    assert messages(search(db, owner, "tea")) == [str(mine)]
    assert search(db, owner, "secret") == []


def test_hits_are_looked_up_one_by_one(db: Connection, owner: Caller) -> None:
    """What a page reads does not grow with the user's conversations."""
    for number in range(300):
        write(db, owner, f"tea {number}")
    db.execute("analyze public.conversations, public.messages")
    db.execute("set local enable_seqscan = off")
    read = "select sum(seq_tup_read + idx_tup_fetch)::integer from pg_stat_xact_user_tables where relname = %s"
    before = [one(db, read, [table]) for table in ("conversations", "messages")]
    assert len(search(db, owner, "tea")) == 20
    after = [one(db, read, [table]) for table in ("conversations", "messages")]
    assert [after[0] - before[0], after[1] - before[1]] == [20, 20]


def test_owners_whose_words_begin_alike_are_told_apart(db: Connection, owner: Caller) -> None:
    assert owner.id is not None
    twin = Caller("authenticated", UUID(bytes=owner.id.bytes[:8] + uuid.uuid4().bytes[8:]))
    db.execute("insert into auth.users (id, email) values (%s, %s)", [twin.id, f"{twin.id}@parley.example"])
    write(db, twin, "secret tea")
    assert search(db, owner, "secret") == []
    assert len(search(db, twin, "secret")) == 1


def test_what_a_search_reads_does_not_depend_on_others(db: Connection, owner: Caller, stranger: Caller) -> None:
    """Neither that somebody else has the word, nor how often, changes what is read of the index."""
    write(db, owner, "my tea")

    def read() -> int:
        blocks: int = one(
            db,
            "select sum((p.plan ->> 'Shared Hit Blocks')::integer + (p.plan ->> 'Shared Read Blocks')::integer) "
            "from (select 1) as x cross join lateral (select private.blocks_of_search()) as p (plan)",
        )
        return blocks

    db.execute("""
        create function private.blocks_of_search() returns jsonb language plpgsql as $$
        declare v jsonb;
        begin
          execute 'explain (analyze, buffers, format json) select * from private.searched_texts as s
            where s.words @@ (quote_literal(private.stretch_of(auth.uid(), 0) || ''sec'') || '':*'')::tsquery'
          into v;
          return v -> 0 -> 'Plan';
        end $$
    """)
    db.execute("set local enable_seqscan = off")
    db.execute("select set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{owner.id}"}}'])
    before = read()
    conversation = new_conversation(db, stranger)
    for number in range(50):
        write(db, stranger, f"secret{number} secrets", conversation)
    assert read() == before


@pytest.mark.parametrize("caller", [ANON, SERVICE], ids=["anon", "service"])
def test_only_users_search(db: Connection, caller: Caller) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(db, caller):
        db.execute("select * from public.search_conversations('tea')")


def test_nobody_finds_nothing(db: Connection, owner: Caller) -> None:
    write(db, owner, "tea")
    assert search(db, NOBODY, "tea") == []


def test_a_reply_is_found_when_it_has_ended(db: Connection, owner: Caller) -> None:
    reply = send(db, owner, new_conversation(db, owner), "A question")["message"]["id"]
    journal(db, piece(reply, 1, "An elephant"))
    assert search(db, owner, "elephant") == []
    finish(db, final(reply, "An elephant.", reasoning="It could be a mammoth."))
    assert messages(search(db, owner, "elephant")) == [reply]
    assert search(db, owner, "mammoth") == []


def test_a_reply_that_recovery_ended_is_found(db: Connection, owner: Caller) -> None:
    reply = send(db, owner, new_conversation(db, owner), "A question")["message"]["id"]
    journal(db, piece(reply, 1, "An elephant"))
    expire(db, reply)
    recover(db)
    assert messages(search(db, owner, "elephant")) == [reply]
    # its writer was only cut off for a while
    finish(db, final(reply, "A giraffe"))
    assert (messages(search(db, owner, "giraffe")), search(db, owner, "elephant")) == ([reply], [])


def test_a_text_that_is_taken_back_is_not_found(db: Connection, owner: Caller) -> None:
    reply = send(db, owner, new_conversation(db, owner), "A question")["message"]["id"]
    journal(db, piece(reply, 1, "An elephant"))
    finish(db, final(reply, "", "filtered"))
    assert search(db, owner, "elephant") == []


def test_what_is_deleted_leaves_the_index(db: Connection, owner: Caller) -> None:
    conversation = new_conversation(db, owner)
    answered(db, owner, conversation, "An elephant?", "A giraffe")
    assert one(db, "select count(*) from private.searched_texts where user_id = %s", [owner.id]) == 3
    with acting(db, owner):
        db.execute("delete from public.conversations where id = %s", [conversation])
    assert one(db, "select count(*) from private.searched_texts where user_id = %s", [owner.id]) == 0


def index_waiting(db: Connection) -> None:
    with acting(db, SERVICE):
        while rpc(db, "index_waiting_texts"):
            pass


def test_a_long_text_is_found_once_it_has_been_indexed(db: Connection, owner: Caller) -> None:
    """More than 16,383 words, behind which Postgres' phrases end; the first word and the last."""
    content = f"first {' '.join(f'w{number}' for number in range(20_000))} end last"
    message = write(db, owner, content)
    assert search(db, owner, "last") == []
    index_waiting(db)
    for query in ("first last", "w19999 end", "w0"):
        assert messages(search(db, owner, query))[0] == str(message)


@pytest.mark.parametrize("letter", ["a", "é", "東", "ท", "\U00020000", "ﷺ", ".", "a ", "a+", "東a"])
def test_a_text_of_any_kind_can_be_written(db: Connection, owner: Caller, letter: str) -> None:
    write(db, owner, letter * (20_000 // len(letter)))
    write(db, owner, letter * (100_000 // len(letter)))
    index_waiting(db)


def test_a_text_of_very_many_different_words_is_kept_in_pieces(db: Connection, owner: Caller) -> None:
    content = "".join(chr(0x4E00 + place * 7919 % 20_000) + chr(0xAC00 + place * 7 % 11_000) for place in range(50_000))
    message = write(db, owner, content)
    index_waiting(db)
    assert one(db, "select count(*) from private.searched_texts where message_id = %s", [message]) > 1
    for place in (0, 49_990, 50_040, 99_000):
        assert messages(search(db, owner, content[place : place + 20])) == [str(message)]


def test_what_is_older_than_the_index_is_indexed_later(db: Connection, owner: Caller) -> None:
    conversation = new_conversation(db, owner)
    written = [str(write(db, owner, f"tea {number}", conversation)) for number in range(3)]
    reply = send(db, owner, conversation, "A question")["message"]["id"]
    db.execute("delete from private.searched_texts where user_id = %s", [owner.id])
    db.execute(
        "insert into private.texts_to_index (conversations_to, messages_to) "
        "select (select max(position) from public.conversations), (select max(position) from public.messages)"
    )
    finish(db, final(reply, "Tea since"))
    assert messages(search(db, owner, "tea")) == [reply]
    index_waiting(db)
    assert sorted(messages(search(db, owner, "tea"))) == sorted([*written, reply])
    assert len(search(db, owner, "before")) == 1
    assert one(db, "select count(*) from private.texts_to_index") == 0
    assert one(db, "select count(*) from private.searched_texts where message_id = %s", [reply]) == 1


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        ({"query": ""}, "q: expected text, got only blanks."),
        ({"query": " \u3000\n"}, "q: expected text, got only blanks."),
        ({"query": None}, "q: expected text, got only blanks."),
        ({"query": "?!“”"}, "q: expected a letter or a digit."),
        ({"query": "x" * 201}, "q: 201 characters; at most 200 are taken."),
        ({"query": "x", "match_count": 0}, "match_count: expected 1 to 101."),
        ({"query": "x", "match_count": 102}, "match_count: expected 1 to 101."),
        ({"query": "x", "after": "1 2 3"}, "cursor: not the cursor of a hit."),
        ({"query": "x", "after": "1 2 NaN 4"}, "cursor: not the cursor of a hit."),
    ],
)
def test_what_cannot_be_asked(db: Connection, owner: Caller, arguments: dict[str, Any], detail: str) -> None:
    with pytest.raises(psycopg.Error) as refused, acting(db, owner):
        rpc(db, "search_conversations", **arguments)
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PT422", detail)


def test_a_cursor_from_elsewhere_does_no_harm(db: Connection, owner: Caller) -> None:
    message = write(db, owner, "tea")
    assert messages(search(db, owner, "tea", after="999999999999999 -999999999999999 9999 1")) == [str(message)]
    assert search(db, owner, "tea", after="-999999999999999 -999999999999999 0 1") == []
