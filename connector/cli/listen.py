"""`keyhook listen`: see on your own machine what a webhook is, and whether it is genuine."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.text import Text

from connector.listening import Arrival, Listener
from connector.verifier import BadSecret, Webhook
from keystore.credentials import SecretValue

SECRET_VARIABLE = "WEBHOOK_SECRET"  # noqa: S105 - a name; not KEYHOOK_…, which are the server's
NO_SECRET = (
    "Without a signing secret nothing is genuine; who asks whether events are wanted here is told "
    f"yes. Give the secret as --secret-file, the variable {SECRET_VARIABLE}, or --secret."
)
SHOWN_BODY = 20_000  # characters


@click.command(epilog="Example: keyhook listen --secret-file signing-secret --port 8500")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="TEXT",
    help="The subscription's signing secret, or its public key. Others on this machine may see "
    f"it in the list of processes; the variable {SECRET_VARIABLE} and a file keep it to yourself.",
)
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the signing secret, or one on each line.",
)
@click.option("--contract", is_flag=True, help="Judge by X-Avoma-Signature instead.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8500,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes any that is free.",
)
@click.option("--forward", metavar="URL", help="Pass what is genuine on, and answer as that does.")
@click.option(
    "--answer",
    default=200,
    show_default=True,
    type=click.IntRange(200, 599),
    help="The status to answer with, to try out retries.",
)
@click.option(
    "--delay",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="Seconds before the answer.",
)
def listen(
    *,
    secrets: tuple[str, ...],
    secret_file: Path | None,
    contract: bool,
    host: str,
    port: int,
    forward: str | None,
    answer: int,
    delay: float,
) -> None:
    """Receive webhooks on this machine: verify, show, answer or forward each.

    What is not genuine is shown too, answered with 401 and never forwarded.
    """
    known = _secrets(secrets, secret_file)
    webhook = _webhook(known, contract=contract) if known else None
    console = Console(highlight=False)
    try:
        listener = Listener(
            (host, port),
            webhook,
            lambda arrival: show(console, arrival),
            answer=answer,
            delay=delay,
            forward=_target(forward),
        )
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    with listener:
        console.print(f"Listening on http://{host}:{listener.server_port}/ (Ctrl+C ends it)")
        if webhook is None:
            console.print(NO_SECRET, style="yellow")
        _serve(listener)
    console.print(f"{listener.genuine} genuine, {listener.refused} refused")


def _serve(listener: Listener) -> None:
    """Serve until told to stop."""
    for name in (signal.SIGINT, signal.SIGTERM):
        # From a thread: `shutdown` waits for the loop, in which this handler runs.
        signal.signal(name, lambda *_: threading.Thread(target=listener.shutdown).start())
    listener.serve_forever(poll_interval=0.1)


def show(console: Console, arrival: Arrival) -> None:
    """Print one arrival. All that others wrote is made harmless to a terminal first."""
    event = arrival.event if isinstance(arrival.event, dict) else {}
    head = Text()
    head.append(*_verdict(arrival))
    named = event.get("event_type") or event.get("type")
    for part in (
        named if isinstance(named, str) else None,
        arrival.message_id,
        None if arrival.age is None else f"signed {arrival.age:.0f} s ago",
        f"time {arrival.time}" if arrival.time > 1 else None,
        f"{'forwarded, ' if arrival.forwarded else ''}answered {arrival.reply.status}",
    ):
        if part:
            head.append(f"  {harmless(part)}".replace("\n", " "))
    console.print(head)
    if arrival.objection is not None:
        console.print(Text(f"  {harmless(arrival.objection)}"))
    if arrival.body:
        console.print(Text(_readable(arrival.body)), soft_wrap=True)
    console.print()


def harmless(text: str) -> str:
    """Return a text without what would steer a terminal (the control characters of Unicode)."""
    return "".join(
        one if one == "\n" or one.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for one in text.replace("\t", "    ").replace("\r\n", "\n")
    )


def _readable(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        value: Any = json.loads(text)
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    text = harmless(text)
    return text if len(text) <= SHOWN_BODY else text[:SHOWN_BODY] + "\n…"


def _verdict(arrival: Arrival) -> tuple[str, str]:
    """Return what is thought of an arrival, and in which style it is said."""
    if arrival.is_question:
        return "asked whether events are wanted", "bold"
    return ("genuine", "bold green") if arrival.objection is None else ("NOT GENUINE", "bold red")


def _secrets(given: tuple[str, ...], file: Path | None) -> list[SecretValue]:
    texts = list(given)
    if file is not None:
        try:
            texts += file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"cannot read {file}: {type(error).__name__}") from error
    texts = texts or os.environ.get(SECRET_VARIABLE, "").split()
    return [SecretValue(text) for text in texts]


def _webhook(secrets: list[SecretValue], *, contract: bool) -> Webhook:
    try:
        return Webhook(*secrets, contract=contract)
    except BadSecret as error:
        raise click.ClickException(f"that is not a signing secret: {error}") from None


def _target(forward: str | None) -> str | None:
    if forward is None:
        return None
    try:
        parts = urlsplit(forward)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or "@" in forward or any(one.isspace() for one in forward):
        raise click.ClickException("--forward takes an address like http://127.0.0.1:3000/hook")
    return forward
