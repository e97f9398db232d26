"""OpenAI's clients, unchanged, with a personal key: what each does, and how it shows what goes wrong."""

from __future__ import annotations

import pytest

from tests.clients.clients import CLIENTS, Client
from tests.clients.conftest import Told
from tests.clients.outcomes import EXPECTED, FAULTS, FEATURES, is_as_expected, is_raised_as_expected, table
from tests.support.aimock import AIMock
from tests.support.matrix import check_table

pytestmark = pytest.mark.timeout(600)

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.program)


@pytest.mark.parametrize("scenario", EXPECTED)
@every_client
def test_works(told: Told, client: Client, scenario: str) -> None:
    found = told(client)
    assert "failed" not in found, found["failed"]
    if scenario not in found:
        # the first of a feature is there, or the table says that the client has none
        assert scenario in client.lacks or scenario not in {scenarios[0] for scenarios in FEATURES.values()}
        return
    assert is_as_expected(scenario, found[scenario]), found[scenario]


@pytest.mark.parametrize("fault", FAULTS)
@every_client
def test_fault_is_the_error_that_its_users_know(told: Told, client: Client, fault: str) -> None:
    found = told(client)
    assert is_raised_as_expected(fault, found[fault]), found[fault]


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.package == "openai"], ids=str)
def test_limit_says_when_to_come_back(told: Told, client: Client) -> None:
    error = told(client)["limited"]["error"]
    assert 0 < int(error["retry_after"]) <= 3600
    assert error["code"] == "rate_limit_exceeded"


def test_parameter_that_there_is_not_is_named(told: Told) -> None:
    refused = told(CLIENTS[0])["unsupported"]
    assert refused == {"param": "n", "type": "invalid_request_error", "status": 400}


def test_results_of_tools_reach_the_model_with_their_ids(told: Told, scripted: AIMock) -> None:
    """Of every client: the calls go back as they came, each with its result."""
    for client in CLIENTS:
        told(client)
    finals = [
        entry["body"]["messages"]
        for entry in scripted.journal("/chat/completions")
        if any(message["role"] == "tool" for message in entry["body"]["messages"])
    ]
    assert len(finals) >= 2 * len(CLIENTS)
    for messages in finals:
        (said,) = [message for message in messages if message.get("tool_calls")]
        results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
        assert [results[call["id"]] for call in said["tool_calls"]] == ["21 degrees", "4 degrees"]


def test_table_on_the_page_is_what_was_seen(told: Told) -> None:
    seen = table({client: told(client) for client in CLIENTS})
    check_table("clients", seen, passed="NO" not in seen)
