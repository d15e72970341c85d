"""`keyhook demo` as a newcomer meets it: a real process, its first line, its address."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.receiver import Receiver
from tests.support.server import Server, clean_environment, eventually, free_port, running_server

WINDOW = {"from_date": "2020-01-01", "to_date": "2099-12-31", "page_size": "100"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("demo")) as server:
        yield server


def all_meetings(server: Server) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    page = 1
    while True:
        answer = server.call("GET", "/v1/meetings/", params=WINDOW | {"page": str(page)}).json()
        found += answer["results"]
        page += 1
        if answer["next"] is None:
            return found


def test_the_first_line_says_how_to_get_in(server: Server) -> None:
    assert server.organization == "Northwind"
    assert server.admin_email == "admin@northwind.example"
    assert server.member_email == "member@northwind.example"
    me = server.call("GET", "/v1/me/").json()
    assert me["organization_name"] == "Northwind"
    assert me["key"]["client_key"] == server.client_key


def test_there_are_200_meetings_in_every_state_some_of_them_private(server: Server) -> None:
    meetings = all_meetings(server)

    assert len(meetings) >= 200
    assert set(Counter(meeting["state"] for meeting in meetings)) == {
        "scheduled",
        "in_progress",
        "completed",
        "not_recorded",
        "cancelled",
    }
    assert {meeting["is_private"] for meeting in meetings} == {True, False}
    assert any(meeting["attendees"] for meeting in meetings)
    transcripts = [one["transcription_uuid"] for one in meetings if one["transcript_ready"]]
    answer = server.call("GET", f"/v1/transcriptions/{transcripts[0]}/")
    assert answer.json()["transcript"]
    notes = server.call("GET", "/v1/notes/", params=WINDOW | {"page_size": "5"})
    assert len(notes.json()["results"]) == 5


def test_some_of_them_were_booked_on_a_scheduling_page(server: Server) -> None:
    meetings = {one["uuid"] for one in all_meetings(server)}
    for what in ("", "_CANCELED", "_RESCHEDULED"):
        name = f"MEETING_BOOKED_VIA_SCHEDULER{what}"
        samples = server.call("GET", f"/v1/events/{name}/samples/").json()
        assert samples
        assert {one["meeting_uuid"] for one in samples} <= meetings


def test_a_subscription_gets_what_happens(server: Server) -> None:
    with Receiver() as receiver:
        made = server.call(
            "POST",
            "/v1/webhooks/",
            json={"event_type": "meeting.ended", "target_url": receiver.url()},
        )
        assert made.status_code == 201
        meeting = next(one for one in all_meetings(server) if one["state"] == "scheduled")
        changed = server.call(
            "PUT", f"/v1/meetings/{meeting['uuid']}/", json=meeting | {"state": "completed"}
        )
        assert changed.status_code == 200, changed.text

        eventually(lambda: receiver.requests)

    assert str(meeting["uuid"]) in receiver.requests[0].body.decode()
    server.call("DELETE", f"/v1/webhooks/{made.json()['id']}/")


def test_no_secret_rests_in_the_data_directory(server: Server) -> None:
    secrets = {
        "client secret": server.client_secret,
        "its random part": server.client_secret[23:55],
        "admin's password": server.admin_password,
        "member's password": server.member_password,
    }
    held = {path.name: path.read_bytes() for path in server.data.iterdir()}

    assert any(server.client_key.encode() in content for content in held.values())
    for name, secret in secrets.items():
        for file, content in held.items():
            assert secret.encode() not in content, f"{name} in {file}"


def test_web_server_and_worker_are_one_process(server: Server) -> None:
    """Below the supervisor there is one process, and no second one that delivers."""
    listed = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert len([line for line in listed if "resource_tracker" not in line]) == 1


def test_the_same_command_again_keeps_the_data_and_the_credentials(tmp_path: Path) -> None:
    with running_server(tmp_path) as first:
        before = len(all_meetings(first))
        first.call(
            "POST",
            "/v1/webhooks/",
            json={"event_type": "AINOTE", "target_url": "https://example.com/hook"},
        )
    with running_server(tmp_path) as second:
        assert second.pair == first.pair
        assert second.admin_password == first.admin_password
        assert len(all_meetings(second)) == before
        assert second.call("GET", "/v1/webhooks/").json()["count"] == 1
    assert second.process.returncode == 0
    assert "Traceback" not in second.log()

    with running_server(tmp_path, "--live", "0", "--reset") as anew:
        assert anew.pair != first.pair
        assert anew.call("GET", "/v1/webhooks/").json()["count"] == 0


def test_a_deleted_demo_key_stays_deleted_and_another_is_made(tmp_path: Path) -> None:
    with running_server(tmp_path) as first:
        environ = clean_environment(KEYHOOK_DATA_DIR=str(first.data))
        command = [sys.executable, "-m", "connector", "keys", "delete", first.client_key, "--yes"]
        subprocess.run(command, env=environ, check=True, capture_output=True)

        # Deleted in one process, refused by the next request to another.
        assert first.call("GET", "/v1/me/").status_code == 401
    with running_server(tmp_path) as second:
        assert second.client_key != first.client_key
        assert second.call("GET", "/v1/me/").status_code == 200
        assert second.call("GET", "/v1/me/", pair=first.pair).status_code == 401


def test_a_meeting_ends_every_so_often(tmp_path: Path) -> None:
    with running_server(tmp_path, "--live", "0.5") as server, Receiver() as receiver:
        server.call(
            "POST",
            "/v1/webhooks/",
            json={"event_type": "new_conversation", "target_url": receiver.url()},
        )
        eventually(lambda: len(receiver.requests) >= 2)


def test_the_curl_lines_work_when_pasted(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "demo", "--port", str(port), "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout is not None
    try:
        printed = "".join(iter(process.stdout.readline, "Stop with Ctrl+C; the data stays.\n"))
        lines = [line for line in printed.splitlines() if line.startswith("curl ")]
        answers = [replay(line) for line in lines]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()

    assert [answer.status_code for answer in answers] == [200, 200, 201]
    assert answers[0].json()["organization_name"] == "Northwind"
    assert answers[1].json()["results"]
    assert answers[2].json()["signing_secret"]
    assert "loopback" in printed


def replay(line: str) -> requests.Response:
    """Do what the shell would make curl do with this line."""
    words = shlex.split(line)[1:]
    headers, body, url = {}, None, ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0)
        else:
            url = word
    assert re.match(r"http://127\.0\.0\.1:\d+/v1/", url)
    return requests.request("POST" if body else "GET", url, headers=headers, data=body, timeout=30)


def refused_demo(*options: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "connector", "demo", "--port", str(free_port()), *options],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def test_two_demos_never_share_a_directory_not_even_to_reset_it(server: Server) -> None:
    before = len(all_meetings(server))

    assert "a demo is running on" in refused_demo("--data", str(server.data), "--reset")

    assert len(all_meetings(server)) == before


@pytest.mark.parametrize("reset", [[], ["--reset"]])
def test_a_real_installation_is_never_taken_for_a_demo(tmp_path: Path, reset: list[str]) -> None:
    environ = clean_environment(KEYHOOK_DATA_DIR=str(tmp_path))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "connector",
            "init",
            "--organization",
            "Acme",
            "--admin",
            "a@b.example",
        ],
        input="correct horse battery\n",
        text=True,
        env=environ,
        check=True,
        capture_output=True,
    )
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert "holds something that is no demo" in refused_demo("--data", str(tmp_path), *reset)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == held


def test_a_port_that_is_taken_is_one_line_and_touches_nothing(
    server: Server, tmp_path: Path
) -> None:
    port = server.base_url.rsplit(":", 1)[1]

    refused = subprocess.run(
        [sys.executable, "-m", "connector", "demo", "--port", port, "--data", str(tmp_path / "d")],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
    )

    assert refused.returncode == 2
    assert refused.stderr == f"keyhook: 127.0.0.1:{port} is taken; choose another --port\n"
    assert not (tmp_path / "d").exists()
