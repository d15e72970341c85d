"""GitHub reports secrets of ours: over HTTP, signed with real keys that a real server lists."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector.api.leaks import MAX_BODY_BYTES
from connector.app import Parts, create_app
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.leak_feed import LeakFeed
from keystore.leak_records import MOST_RECORDS
from keystore.models import Organization
from keystore.rotation import LeakPolicy
from keystore.verification import Verification
from tests.support.scanner import Scanner
from tests.support.typos import mistyped

PATH = "/v1/leaks/github/"


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    with Scanner() as scanner:
        yield scanner


@pytest.fixture
def app(parts: Parts, scanner: Scanner, clock: ManualClock) -> Flask:
    feed = LeakFeed(scanner.keys_url, clock)
    return create_app(replace(parts, services=replace(parts.services, leak_feed=feed)))


@pytest.fixture
def kill(parts: Parts, organization: Organization) -> None:
    with parts.services.db.session() as session:
        parts.services.leaks.set_policy(
            session, organization_id=organization.id, policy=LeakPolicy.KILL, actor=SYSTEM
        )


def works(verification: Verification, issued: Issued) -> bool:
    secret = issued.client_secret.reveal()
    return verification.by_secret(issued.key.client_key, secret) is not None


def label(token: str, said: str) -> dict[str, str]:
    return {
        "token_hash": hashlib.sha256(token.encode()).hexdigest(),
        "token_type": "keyhook_secret",
        "label": said,
    }


def test_a_report_is_followed_and_answered_text_by_text(
    client: FlaskClient, scanner: Scanner, issued: Issued, kill: None, verification: Verification
) -> None:
    secret = issued.client_secret.reveal()
    almost = mistyped(secret)
    body = scanner.body({"token": secret}, {"token": almost}, {"token": "\ud800"})

    answer = client.post(PATH, data=body, headers=scanner.sign(body, "second"))

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json[:2] == [label(secret, "true_positive"), label(almost, "false_positive")]
    assert answer.json[2]["label"] == "false_positive"
    assert secret not in answer.text
    assert not works(verification, issued)


def test_a_replay_gets_the_same_answer_and_does_nothing(
    client: FlaskClient, scanner: Scanner, issued: Issued, kill: None, parts: Parts
) -> None:
    body = scanner.body({"token": issued.client_secret.reveal()})
    signed = scanner.sign(body)

    first, *others = [client.post(PATH, data=body, headers=signed).text for _ in range(4)]

    assert others == [first] * 3
    with parts.services.db.session() as session:
        key = parts.services.keys.get(
            session, issued.key.id, organization_id=issued.key.organization_id, actor=SYSTEM
        )
        assert key.generation == 2
        assert len(parts.services.leaks.reports(session, issued.key.organization_id)) == 1


def test_an_unsigned_report_does_nothing_at_all(
    client: FlaskClient, scanner: Scanner, issued: Issued, kill: None, verification: Verification
) -> None:
    body = scanner.body({"token": issued.client_secret.reveal()})
    signed = scanner.sign(body)
    written_anew = json.dumps(json.loads(body)).encode()
    identifier, signature = signed
    refused = [
        client.post(PATH, data=data, headers=headers)
        for data, headers in [
            (body, {}),
            (body, {identifier: "first"}),
            (body, {signature: signed[signature]}),
            (body, signed | {identifier: "second"}),
            (body, signed | {identifier: "unknown"}),
            (body, signed | {signature: "MEUC"}),
            (written_anew, signed),
            (body + b"\n", signed),
            (b"", signed),
        ]
    ]

    assert {answer.status_code for answer in refused} == {403}
    assert len({answer.text for answer in refused}) == 1
    assert refused[0].content_type == "application/problem+json"
    assert works(verification, issued)


def test_what_is_signed_and_cannot_be_read_is_refused_as_a_whole(
    client: FlaskClient, scanner: Scanner, issued: Issued, kill: None, verification: Verification
) -> None:
    secret = issued.client_secret.reveal()
    for body in (b"{}", scanner.body({"token": secret}, {"token": None}), b"["):
        answer = client.post(PATH, data=body, headers=scanner.sign(body))
        assert answer.status_code == 400
    body = scanner.body(*[{"token": secret}] * (MOST_RECORDS + 1))

    answer = client.post(PATH, data=body, headers=scanner.sign(body))
    assert answer.status_code == 400
    assert answer.json is not None
    assert str(MOST_RECORDS) in answer.json["detail"]
    assert works(verification, issued)


def test_a_body_has_an_end(client: FlaskClient, scanner: Scanner) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)

    answer = client.post(PATH, data=body, headers=scanner.sign(body))

    assert answer.status_code == 413
    assert answer.json is not None
    assert "1 MB" in answer.json["detail"]


def test_a_full_report_is_taken(client: FlaskClient, scanner: Scanner, issued: Issued) -> None:
    secret = issued.client_secret.reveal()
    records = [{"token": f"{n}"} for n in range(MOST_RECORDS - 1)]
    body = scanner.body(*records, {"token": secret})

    answer = client.post(PATH, data=body, headers=scanner.sign(body))

    assert answer.json is not None
    assert [one["label"] for one in answer.json].count("true_positive") == 1
    assert answer.json[-1] == label(secret, "true_positive")


def test_while_the_scanners_keys_cannot_be_had_it_is_to_come_again(
    client: FlaskClient, scanner: Scanner, issued: Issued, kill: None, verification: Verification
) -> None:
    scanner.status = 429
    body = scanner.body({"token": issued.client_secret.reveal()})

    answer = client.post(PATH, data=body, headers=scanner.sign(body))

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert works(verification, issued)


def test_without_the_setting_there_is_no_such_address(
    parts: Parts, scanner: Scanner, clock: ManualClock
) -> None:
    services = replace(parts.services, leak_feed=LeakFeed("", clock))
    client = create_app(replace(parts, services=services)).test_client()
    body = scanner.body({"token": "khs"})

    assert client.post(PATH, data=body, headers=scanner.sign(body)).status_code == 404


def test_what_is_not_ours_is_counted_and_not_kept(
    client: FlaskClient, scanner: Scanner, issued: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "connector.api.leaks")
    secret = issued.client_secret.reveal()
    body = scanner.body({"token": secret}, {"token": "glpat-unknown"}, {"token": "other"})

    client.post(PATH, data=body, headers=scanner.sign(body))

    assert "1 of ours, 2 unknown" in caplog.text
    assert "glpat" not in caplog.text
    assert secret not in caplog.text
