"""`keyhook demo`: everything at once, with something to see, on one SQLite file."""

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import click
import requests
from rich.console import Console

from connector import demo as northwind
from connector import demo_mails, serving
from connector.app import Parts
from connector.cli import common
from keystore.clock import SystemClock
from keystore.settings import SECRET_KEYS_FILE

HOST = "127.0.0.1"
LOOPBACK = "127.0.0.0/8,::1/128"
START_SECONDS = 60
LOCK_FILE = "demo.lock"
FILES = ("keyhook.db", "keyhook.db-wal", "keyhook.db-shm", SECRET_KEYS_FILE)
SENDER = "Keyhook <keyhook@northwind.example>"
CATCHER_PORT = 9000
CATCHER = f"http://127.0.0.1:{CATCHER_PORT}/"


@click.command(epilog="Example: keyhook demo --port 8500 --live 5")
@click.option("--port", default=8400, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--data",
    default=Path("keyhook-demo"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory that keeps the demo's data.",
)
@click.option(
    "--live",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, 86400),
    help="Seconds after which a meeting ends, again and again; 0 for never.",
)
@click.option("--reset", is_flag=True, help="Begin anew; what the demo had is deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print the credentials as one JSON line.")
def demo(port: int, data: Path, live: float, reset: bool, as_json: bool) -> None:
    """Run Keyhook with a made-up organization, server and delivery worker in one process."""
    serving.require_free(HOST, port)
    _claim(data)
    if reset:
        _reset(data)
    environ = _environment(os.environ, data, port)
    parts = common.assembled(environ)
    base_url = parts.services.settings.base_url
    if not as_json:
        common.progress_console().print("Preparing Northwind ...")
    credentials = northwind.prepare(parts)
    parts.services.db.dispose()
    show = partial(_show_json if as_json else _show, base_url, credentials, live)
    background: list[serving.Background] = [
        serving.deliver,
        demo_mails.carry,
        partial(_when_up, base_url, show),
    ]
    if live:
        background.append(partial(northwind.live, every=live))
    additions = [demo_mails.init_app]
    serving.serve(environ, host=HOST, port=port, background=background, additions=additions)


def _environment(environ: Mapping[str, str], data: Path, port: int) -> dict[str, str]:
    """Return the settings of a demo: its own directory, file and mails; loopback is allowed."""
    names = ("DATABASE_URL", "DATA_DIR", "SMTP_URL", "MAIL_FROM")
    own = {f"KEYHOOK_{name}{suffix}" for name in names for suffix in ("", "_FILE")}
    networks = [LOOPBACK, environ.get("KEYHOOK_ALLOW_NETWORKS", "")]
    return {name: text for name, text in environ.items() if name not in own} | {
        "KEYHOOK_DATA_DIR": str(data),
        "KEYHOOK_BASE_URL": f"http://{HOST}:{port}",
        "KEYHOOK_ALLOW_NETWORKS": " ".join(networks),
        "KEYHOOK_MAIL_FROM": SENDER,
    }


def _claim(data: Path) -> None:
    """Make the directory this process's own: it is new, empty or an earlier demo's.

    A real installation's directory is never touched, and no two demos share one.
    """
    if data.is_dir() and any(data.iterdir()) and not (data / LOCK_FILE).exists():
        raise click.ClickException(f"{data} holds something that is no demo; choose another --data")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (data / LOCK_FILE).open("w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise click.ClickException(f"a demo is running on {data}; stop it first") from None
    click.get_current_context().call_on_close(lock.close)


def _reset(data: Path) -> None:
    for name in FILES:
        (data / name).unlink(missing_ok=True)


def _when_up(base_url: str, then: Callable[[], None], _parts: Parts, stop: threading.Event) -> None:
    """Do something once the server answers; from beside the server, in its own process."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not stop.is_set():
        try:
            if requests.get(base_url + "/healthz", timeout=5).ok:
                then()
                break
        except requests.ConnectionError:
            stop.wait(0.1)
    stop.wait()


def _show_json(base_url: str, credentials: northwind.Credentials, _live: float) -> None:
    common.print_json(
        {
            "base_url": base_url,
            "admin_email": northwind.ADMIN,
            "admin_password": credentials.passwords[northwind.ADMIN].reveal(),
            "member_email": northwind.MEMBER,
            "member_password": credentials.passwords[northwind.MEMBER].reveal(),
            "client_key": credentials.client_key,
            "client_secret": credentials.client_secret.reveal(),
            "organization": northwind.ORGANIZATION,
        }
    )


def _show(base_url: str, credentials: northwind.Credentials, live: float) -> None:
    pair = f"{credentials.client_key}:{credentials.client_secret.reveal()}"
    header = f'-H "Authorization: Bearer {pair}"'
    # No wrapping and no markup: these lines are there to be copied.
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"Keyhook demo: {northwind.ORGANIZATION}\n", style="bold")
    for name, value in (
        ("Address", f"{base_url}/"),
        ("Admin", northwind.ADMIN),
        ("  password", credentials.passwords[northwind.ADMIN].reveal()),
        ("Member", northwind.MEMBER),
        ("  password", credentials.passwords[northwind.MEMBER].reveal()),
        ("Client Key", credentials.client_key),
        ("Client Secret", credentials.client_secret.reveal()),
    ):
        console.print(f"{name:<15}{value}")
    console.print("\nWho am I?")
    console.print(f"curl {header} {base_url}/v1/me/")
    console.print("\nThe newest meetings:")
    today = SystemClock().now().date()
    window = f"from_date={today - timedelta(days=60)}&to_date={today}"
    console.print(f"curl {header} '{base_url}/v1/meetings/?{window}'")
    console.print("\nSubscribe a webhook:")
    body = json.dumps({"event_type": "meeting.ended", "target_url": CATCHER})
    console.print(
        f"curl {header} -H 'Content-Type: application/json' -d '{body}' {base_url}/v1/webhooks/"
    )
    console.print("and see what comes, with the signing_secret from the answer:")
    program = sys.argv[0] if sys.argv[0].endswith("keyhook") else "keyhook"
    console.print(f"WEBHOOK_SECRET=whsec_... {program} listen --port {CATCHER_PORT}")
    if live:
        console.print(f"\nA meeting ends every {live:g} seconds.")
    console.print(
        "Webhooks of the demo may reach loopback addresses; a real installation refuses them "
        "unless KEYHOOK_ALLOW_NETWORKS says otherwise."
    )
    console.print("Stop with Ctrl+C; the data stays.")
