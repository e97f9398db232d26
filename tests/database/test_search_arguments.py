"""Arguments of the search functions: what cannot find anything is an error that says why, never an empty answer."""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from tests.database.passages import contents, index
from tests.support.callers import ANON, SERVICE, Caller, Connection, acting, one, vector

FUNCTIONS = ["match_embeddings", "search_passages"]


def ask(db: Connection, caller: Caller, function: str, **arguments: Any) -> list[dict[str, Any]]:
    """Call one of the functions with a vector that is similar to `vector(1)`, but for what `arguments` say."""
    given = {"query_embedding": vector(1), **({"query_text": "tea"} if function == "search_passages" else {})}
    given |= arguments
    named = ", ".join(f"{name} => %({name})s" for name in given)
    with acting(db, caller):
        rows = db.execute(f"select to_jsonb(m) from public.{function}({named}) as m", given).fetchall()
    return [row for (row,) in rows]


def documents(db: Connection, caller: Caller, *questions: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    given = {"text": "tea", "questions": Jsonb(list(questions)), "count": 5, "filter": Jsonb({}), "hybrid": False}
    given |= arguments
    named = ", ".join(f"p_{name} => %({name})s" for name in given)
    with acting(db, caller):
        answer: dict[str, Any] = one(db, f"select public.search_documents_v2({named})", given)
    return answer


def move(db: Connection, document: object, model: str, passages: int) -> None:
    """Give so many of a document's passages their vectors of another model, as `app.retrieval.reembed` does."""
    query = (
        "update public.documents "
        "set embedding_model = 'old', revision = 0, next_revision = nextval('private.revisions') "
        "where id = %s returning next_revision"
    )
    revision = one(db, query, [document])
    vectors = [{"passage": passage, "embedding": vector(1)} for passage in range(passages)]
    db.execute("select public.store_reembedded(%s, %s, %s, %s)", [model, document, revision, Jsonb(vectors)])


# ── the model ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["local", "text-embedding-3-small", "nomic-embed-text"])
def test_three_arguments_are_enough(db: Connection, owner: Caller, model: str) -> None:
    """As Supabase's guides call it."""
    index(db, owner, "tea", vector(1), vector(0, 1), model=model)
    with acting(db, owner):
        found = db.execute("select content from public.match_embeddings(%s::extensions.vector, 0.5, 5)", [vector(1)])
        assert found.fetchall() == [("tea 0",)]
        found = db.execute(
            "select content from public.search_passages('x', %s::extensions.vector, 0.5, 5)", [vector(1)]
        )
        assert found.fetchall() == [("tea 0",)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_vectors_of_the_one_model_are_compared(
    db: Connection, owner: Caller, stranger: Caller, function: str
) -> None:
    index(db, owner, "mine", vector(1), model="local")
    index(db, stranger, "theirs", vector(1), model="other")
    assert contents(ask(db, owner, function)) == ["mine 0"]
    assert contents(ask(db, stranger, function)) == ["theirs 0"]
    assert contents(ask(db, owner, function, embedding_model="local")) == ["mine 0"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_several_models_are_named(db: Connection, owner: Caller, function: str) -> None:
    index(db, owner, "old", vector(1), model="ada")
    index(db, owner, "new", vector(1), vector(1), model="local")
    with pytest.raises(errors.InvalidParameterValue, match="several embedding models: local, ada"):
        ask(db, owner, function)
    assert contents(ask(db, owner, function, embedding_model="ada")) == ["old 0"]
    assert len(ask(db, owner, function, embedding_model="local")) == 2


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_model_that_no_passage_has(db: Connection, owner: Caller, function: str) -> None:
    index(db, owner, "a", vector(1), model="local")
    with pytest.raises(errors.InvalidParameterValue, match="embedding model lokal; they have local"):
        ask(db, owner, function, embedding_model="lokal")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("model", [None, "local"])
def test_without_passages_nothing_is_found(db: Connection, owner: Caller, function: str, model: str | None) -> None:
    assert ask(db, owner, function, embedding_model=model) == []
    assert documents(db, owner) == {"models": [], "answers": []}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_while_a_document_is_moved_it_has_its_old_model(db: Connection, owner: Caller, function: str) -> None:
    document = index(db, owner, "a", vector(1), vector(1), model="old")
    move(db, document, "new", 1)
    assert len(ask(db, owner, function)) == 2
    # the vectors that are there of the new one are hidden until they are whole
    assert ask(db, owner, function, embedding_model="new") == []
    with acting(db, owner):
        assert one(db, "select public.passage_models()") == ["old"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_when_it_is_moved_it_has_its_new_one(db: Connection, owner: Caller, function: str) -> None:
    document = index(db, owner, "a", vector(1), model="old")
    move(db, document, "new", 1)
    assert len(ask(db, owner, function)) == 1
    with pytest.raises(errors.InvalidParameterValue, match="embedding model old; they have new"):
        ask(db, owner, function, embedding_model="old")
    index(db, owner, "b", vector(1), model="old")
    with pytest.raises(errors.InvalidParameterValue, match="several embedding models: "):
        ask(db, owner, function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_first_document_that_is_not_whole_is_no_passage_yet(db: Connection, owner: Caller, function: str) -> None:
    document = index(db, owner, "a", vector(1), model="new")
    db.execute("update public.embeddings set revision = 7 where document_id = %s", [document])
    db.execute("update public.documents set status = 'indexing', next_revision = 7 where id = %s", [document])
    assert ask(db, owner, function) == []
    index(db, owner, "b", vector(1), model="old")
    assert contents(ask(db, owner, function)) == ["b 0"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("caller", [ANON, SERVICE], ids=lambda caller: caller.role)
def test_only_users_ask(db: Connection, caller: Caller, function: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        ask(db, caller, function)
    with pytest.raises(errors.InsufficientPrivilege), acting(db, caller):
        db.execute("select public.passage_models()")


# ── the vector ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("passages", [0, 1])
@pytest.mark.parametrize("width", [1, 384, 1535, 1537, 3072])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_vector_of_another_width(db: Connection, owner: Caller, function: str, width: int, passages: int) -> None:
    index(db, owner, "a", *[vector(1)] * passages)
    with pytest.raises(errors.DataException, match=f"query_embedding has {width} dimensions, passages have 1536"):
        ask(db, owner, function, query_embedding=json.dumps([1] * width))


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (None, errors.NullValueNotAllowed, "query_embedding must not be null"),
        (vector(0), errors.InvalidParameterValue, "query_embedding has no direction"),
        (vector(1).replace("1", "NaN", 1), errors.DataError, "NaN not allowed in vector"),
        (vector(1).replace("1", "Infinity", 1), errors.DataError, "infinite value not allowed in vector"),
        ("[]", errors.DataError, "vector must have at least 1 dimension"),
        ("nonsense", errors.DataError, "invalid input syntax for type vector"),
    ],
    ids=["null", "zero", "NaN", "infinite", "empty", "nonsense"],
)
@pytest.mark.parametrize("passages", [0, 1])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_vector_that_is_none(
    db: Connection,
    owner: Caller,
    function: str,
    passages: int,
    query: str | None,
    error: type[psycopg.Error],
    message: str,
) -> None:
    index(db, owner, "a", *[vector(1)] * passages)
    with pytest.raises(error, match=message):
        ask(db, owner, function, query_embedding=query)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 3e38])
def test_a_vector_s_length_does_not_matter(db: Connection, owner: Caller, function: str, scale: float) -> None:
    index(db, owner, "a", vector(3, 4))
    [found] = ask(db, owner, function, query_embedding=vector(3 * scale / 4, scale))
    assert found["similarity"] == pytest.approx(1)


# ── threshold, count, filter, text ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("passages", [0, 1])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"match_threshold": 1.1}, "match_threshold must be from -1 to 1, not 1.1"),
        ({"match_threshold": -1.1}, "match_threshold must be from -1 to 1, not -1.1"),
        ({"match_threshold": 70}, "match_threshold must be from -1 to 1, not 70"),
        ({"match_threshold": float("nan")}, "match_threshold must be from -1 to 1, not NaN"),
        ({"match_threshold": float("inf")}, "match_threshold must be from -1 to 1, not Infinity"),
        ({"match_count": 0}, "match_count must be at least 1, not 0"),
        ({"match_count": -1}, "match_count must be at least 1, not -1"),
        ({"filter": Jsonb([])}, "filter must be a JSON object, not: array"),
        ({"filter": Jsonb("lang")}, "filter must be a JSON object, not: string"),
        ({"filter": Jsonb(1)}, "filter must be a JSON object, not: number"),
    ],
    ids=str,
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_argument_out_of_range_is_named(
    db: Connection, owner: Caller, function: str, arguments: dict[str, Any], message: str, passages: int
) -> None:
    index(db, owner, "a", *[vector(1)] * passages)
    with pytest.raises(errors.InvalidParameterValue, match=message):
        ask(db, owner, function, **arguments)


@pytest.mark.parametrize("nothing", [None, Jsonb(None)], ids=["null", "JSON null"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_argument_that_is_null_has_its_default(
    db: Connection, owner: Caller, function: str, nothing: object
) -> None:
    index(db, owner, "a", *[vector(1)] * 6, vector(0, 1), metadata={"lang": "en"})
    found = ask(db, owner, function, match_threshold=None, match_count=None, filter=nothing, embedding_model=None)
    assert len(found) == 5
    assert {passage["similarity"] for passage in found} == {1}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("threshold", [-1, 1])
def test_thresholds_at_the_ends(db: Connection, owner: Caller, function: str, threshold: float) -> None:
    index(db, owner, "a", vector(1), vector(-1))
    assert len(ask(db, owner, function, match_threshold=threshold)) == (2 if threshold == -1 else 1)


def test_hybrid_search_without_a_text(db: Connection, owner: Caller) -> None:
    index(db, owner, "a", vector(1))
    with pytest.raises(errors.NullValueNotAllowed, match="query_text must not be null"):
        ask(db, owner, "search_passages", query_text=None)
    # no words in it: what is similar is found all the same
    assert contents(ask(db, owner, "search_passages", query_text="?!")) == ["a 0"]


# ── search_documents_v2 ──────────────────────────────────────────────────────────────────────────────────────────


def question(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "embedding": vector(1), "threshold": 0.5} | more


@pytest.mark.parametrize("hybrid", [False, True])
def test_each_question_has_its_answer(db: Connection, owner: Caller, hybrid: bool) -> None:
    index(db, owner, "old", vector(1), model="ada")
    index(db, owner, "new", vector(1), vector(1), model="local")
    asked = [question("ada"), question("gone"), question("local", threshold=1)]
    answer = documents(db, owner, *asked, hybrid=hybrid)
    assert answer["models"] == ["local", "ada"]
    assert [sorted(contents(found)) for found in answer["answers"]] == [["old 0"], [], ["new 0", "new 1"]]


def test_a_question_without_a_vector_finds_words(db: Connection, owner: Caller) -> None:
    index(db, owner, "tea", vector(1), model="local")
    index(db, owner, "milk", vector(1), model="local")
    asked = question("local", embedding=None)
    assert documents(db, owner, asked)["answers"] == [[]]
    [[found]] = documents(db, owner, asked, hybrid=True)["answers"]
    assert (found["content"], found["similarity"]) == ("tea 0", 0)


@pytest.mark.parametrize(
    ("asked", "arguments", "message"),
    [
        ([{"model": "local", "threshold": 0.5, "embedding": "[1]"}], {}, "has 1 dimensions, passages have 1536"),
        ([question("local", embedding=vector(0))], {}, "has no direction"),
        ([question("local", threshold=2)], {}, "match_threshold must be from -1 to 1"),
        ([question("local", threshold=None)], {}, "needs a model and a threshold"),
        ([{"embedding": vector(1), "threshold": 0.5}], {}, "needs a model and a threshold"),
        ([question("local")], {"count": 0}, "match_count must be at least 1"),
        ([question("local")], {"filter": Jsonb([])}, "filter must be a JSON object"),
        ([question(str(number)) for number in range(17)], {}, "an array of at most 16"),
        ([], {"questions": Jsonb({"model": "local"})}, "an array of at most 16"),
    ],
)
def test_questions_that_cannot_find_anything(
    db: Connection, owner: Caller, asked: list[dict[str, Any]], arguments: dict[str, Any], message: str
) -> None:
    index(db, owner, "a", vector(1), model="local")
    with pytest.raises(errors.DataError, match=message):
        documents(db, owner, *asked, **arguments)


def test_models_are_counted_among_the_caller_s_passages_alone(db: Connection, owner: Caller, stranger: Caller) -> None:
    index(db, owner, "a", vector(1), model="local")
    index(db, stranger, "b", vector(1), vector(1), model=f"secret-{uuid.uuid4()}")
    with acting(db, owner):
        assert one(db, "select public.passage_models()") == ["local"]
    assert documents(db, owner)["models"] == ["local"]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(
    ("model", "query", "found"), [("local", vector(1), 1), ("gone", vector(1), 0), ("local", vector(0), 0)]
)
def test_release_0_1_0_is_answered_as_before(
    db: Connection, owner: Caller, hybrid: bool, model: str, query: str, found: int
) -> None:
    """It searches by its own model first, whatever the passages have, also with the vector of a text without words."""
    index(db, owner, "a", vector(1), model="local")
    with acting(db, owner):
        answer = one(
            db,
            "select public.search_documents('', %s, 0.5, 5, '{}', %s, %s)",
            [query, model, hybrid],
        )
    assert len(answer["passages"]) == found
    assert answer["others"] == ([] if model == "local" else ["local"])
