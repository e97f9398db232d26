"""The words of hybrid search: found in every script, whatever stands around them, and in the parser's traps."""

# the marks of other scripts are what this is about
# ruff: noqa: RUF001

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import free_port
from tests.support.client import person_client
from tests.support.data_folder import data_folder
from tests.support.documents import found, put_in
from tests.support.service import Api, sign_up

Connection = psycopg.Connection[tuple[Any, ...]]

# a word, and a sentence in which it stands between quotation marks or other punctuation
SENTENCES = {
    "Latin with accents": ("façade", "Das Haus mit der „façade“, sagte er."),
    "Cyrillic": ("кремль", "Он сказал: “Кремль”…"),
    "Greek": ("αθήνα", "Η πρωτεύουσα είναι η «Αθήνα»·"),
    "Armenian": ("երևան", "Մայրաքաղաքն է «Երևան»։"),
    "Hebrew": ("ירושלים", "הוא אמר “ירושלים”."),
    "Arabic": ("القاهرة", "قال: «القاهرة»، ثم ذهب؟"),
    "Devanagari": ("हिन्दी", "उसने कहा “हिन्दी”।"),
    "Tamil": ("சென்னை", "தலைநகரம் ‘சென்னை’."),
    "Georgian": ("თბილისი", "დედაქალაქია „თბილისი“."),
    "Thai": ("กรุงเทพ", "เมืองหลวงคือ “กรุงเทพ”ครับ"),
    "Khmer": ("ភ្នំពេញ", "រាជធានី«ភ្នំពេញ»។"),
    "Korean": ("서울", "수도는 ‘서울’이다."),
    "Korean with a particle": ("서울", "나는 서울에서 산다."),
    "Chinese": ("北京", "首都是“北京”。"),
    "Chinese inside a sentence": ("长城", "我们昨天去看了长城然后回家。"),
    "Japanese": ("東京", "首都は「東京」です。"),
    "Japanese inside a sentence": ("タワー", "昨日は東京タワーに行きました。"),
    "Ethiopic": ("አዲስ", "ዋና ከተማ፡«አዲስ»።"),
}

MARKS = [
    *("“{}”", "‘{}’", "„{}“", "«{}»", "‹{}›", '"{}"', "'{}'", "`{}`", "「{}」", "『{}』", "《{}》", "【{}】", "（{}）"),
    *(
        "({})",
        "[{}]",
        "<{}>",
        "</{}>",
        "{}。",
        "、{}，",
        "！{}？",
        "¿{}?",
        "…{}…",
        "—{}—",
        "–{}",
        "-{}-",
        "*{}*",
        "_{}_",
    ),
    *("#{}", "@{}", "x@{}", "{}@x.example", "https://{}/x?y=1", "/{}/x", "{}.py", "x.{}", "+{}", "&{};", "~{}", "${}$"),
    *("{}،", "{}؟", "{}।", "\u3000{}\u3000", "\u00a0{}\u00a0", "\u200b{}\u200b", "\u200f{}\u200e", "\u2068{}\u2069"),
]


@pytest.fixture(scope="module")
async def polyglot(stack: LocalSupabase, offline: Api) -> AsyncGenerator[httpx.AsyncClient]:
    """The client of somebody who has a document for each sentence."""
    async with person_client(offline, await sign_up(stack)) as client:
        await asyncio.gather(*(put_in(client, sentence, title=script) for script, (_, sentence) in SENTENCES.items()))
        yield client


def matches(database: Connection, content: str, query: str) -> bool:
    [answer] = database.execute(
        "select coalesce(private.passage_words('{}', %s) @@ private.words_query(%s), false)", [content, query]
    ).fetchall()
    return bool(answer[0])


@pytest.mark.parametrize("script", SENTENCES)
async def test_a_word_between_marks_is_found(polyglot: httpx.AsyncClient, script: str) -> None:
    word, sentence = SENTENCES[script]
    # no vector is that similar: what is found has the word
    passages = await found(polyglot, word, mode="hybrid", threshold=1, limit=20)
    assert sentence.lower().count(word) == 1
    expected = {text for _, text in SENTENCES.values() if word in text.lower()}
    assert {passage["content"] for passage in passages} == expected


@pytest.mark.parametrize("mark", MARKS)
def test_marks(database: Connection, mark: str) -> None:
    for word, _ in SENTENCES.values():
        assert matches(database, mark.format(word), word), word
        assert matches(database, f"{word} x", mark.format(word)), word


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("a vector<int> of numbers", "int"),
        ("#include <stdio.h>", "stdio"),
        ("where a<b and c>d", "b"),
        ("start main.py now", "main"),
        ("write to bob@example.com", "bob"),
        ("write to bob@example.com", "example.com"),
        ("see https://example.com/docs/setup?page=2", "setup"),
        ("foo bar", "foo-bar"),
        ("foo-bar", "foo bar"),
        ("foo-bar", "bar"),
        ("Order XK-4711", "4711"),
        ("Order 4711", "XK-4711"),
        ("minus -5", "5"),
        ("R&D", "D"),
        ("fish &amp; chips", "amp"),
        ("snake_case", "case"),
        ("C:\\folder\\file", "folder"),
        ("ＡＢＣ１２３", "abc123"),
        ("abc123", "ＡＢＣ１２３"),
        ("cafe\u0301", "café"),
        ("ﾀﾜｰ", "タワー"),
        ("soft\u00adhyphen", "softhyphen"),
        ("2024年", "2024"),
        ("茶", "茶"),
        ("緑茶", "茶"),
        ("茶色", "茶"),
        ("Dogs are running", "dog run"),
    ],
)
def test_traps_of_the_parser(database: Connection, content: str, query: str) -> None:
    assert matches(database, content, query)


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("tea", "milk"),
        ("京東", "東京"),
        ("東の京", "東京"),
        ("서늘한 울산", "서울"),
        ("tea", "the of"),
        ("tea", "?!"),
        ("tea", ""),
        ("東京です", "の"),
        ("o'clock", "\\"),
        ("tea", "'"),
        ("tea", "milk' | 'tea"),
        ("tea", "!milk"),
        ("tea", "te:*"),
    ],
)
def test_what_is_not_there(database: Connection, content: str, query: str) -> None:
    assert matches(database, content, query) == (query == "milk' | 'tea")


@pytest.mark.parametrize("letter", ["a", "é", "東", "ท", "한", "\U00020000", "ﷺ", "."])
def test_a_passage_of_any_length_can_be_stored(database: Connection, letter: str) -> None:
    """100,000 characters, as many as the column takes, all in a row and as words."""
    for content in (letter * 100_000, f"{letter} " * 50_000):
        assert database.execute("select private.passage_words('{}', %s)", [content]).fetchone() is not None


def test_a_passage_of_many_different_ideographs(database: Connection) -> None:
    content = "".join(chr(0x4E00 + place % 20_000) for place in range(100_000))
    assert matches(database, content, content[16_000:16_002])


def test_headings_are_words_of_their_passages(database: Connection) -> None:
    statement = """select private.passage_words('{"heading": "“東京”"}', 'x') @@ private.words_query('東京')"""
    assert database.execute(statement).fetchone() == (True,)


def test_what_a_folder_of_before_holds_is_found() -> None:
    """Made with LC_CTYPE C, and indexed before words were told from what stands around them."""
    sentence, user = "Он сказал: “Кремль”, 「東京」。", str(uuid.uuid4())
    with data_folder() as folder:
        migrations = folder / "supabase" / "migrations"
        shutil.copytree(REPOSITORY / "supabase", folder / "supabase")
        later = [path for path in migrations.iterdir() if path.name >= "20261128140100"]
        for path in later:
            path.unlink()
        ports = {"supabase_port": free_port(), "db_port": free_port()}
        with LocalSupabase(folder / "data", workdir=folder, **ports) as before:
            with psycopg.connect(before.superuser_url) as superuser:
                superuser.execute("update pg_catalog.pg_database set datctype = 'C'")
            with psycopg.connect(before.superuser_url) as superuser:
                superuser.execute("insert into auth.users (id, email) values (%s, 'kept@parley.example')", [user])
                superuser.execute(
                    "with d as (insert into public.documents (user_id, title) values (%s, 'Notes') returning *) "
                    "insert into public.embeddings "
                    "(document_id, user_id, passage, content, embedding, embedding_model) "
                    "select d.id, d.user_id, 0, %s, %s, 'local' from d",
                    [user, sentence, str([1] * 1536)],
                )
                words = superuser.execute("select fts @@ to_tsquery('simple', 'кремль') from public.embeddings")
                assert words.fetchone() == (False,)
        for path in later:
            shutil.copy(REPOSITORY / "supabase" / "migrations" / path.name, path)
        with (
            LocalSupabase(folder / "data", workdir=folder, **ports) as after,
            psycopg.connect(after.database_url) as db,
        ):
            for word in ("кремль", "東京"):
                with db.transaction():
                    db.execute(
                        "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
                        [json.dumps({"role": "authenticated", "sub": user})],
                    )
                    query = "select content from public.search_passages(%s, %s, 1)"
                    assert db.execute(query, [word, str([-1] * 1536)]).fetchall() == [(sentence,)]
