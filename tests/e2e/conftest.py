"""A real Chromium before a real server. Whatever a page complains about fails the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    ViewportSize,
    sync_playwright,
)

from tests.support.answers import read_archive
from tests.support.canaries import Canaries
from tests.support.needs import lacking
from tests.support.server import Server, running_server

DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Chromium notes every answer of 400 and more; tests look at those themselves.
EXPECTED = "Failed to load resource: the server responded with a status of 4"

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("e2e") / "demo") as server:
        yield server


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    own = playwright.chromium.executable_path
    path = which("chromium") or which("chromium-browser") or which("google-chrome") or own
    if not Path(path).exists():
        lacking("Chromium")
    browser = playwright.chromium.launch(
        executable_path=path,
        args=ARGUMENTS,
        # People's browsers keep the pages they leave; "back" is to be tried with that.
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()


@pytest.fixture
def open_browser(
    chromium: Browser,
    server: Server,
    tmp_path: Path,
    s1_no_issued_secret_is_left_anywhere: Canaries,
) -> Iterator[Open]:
    """Open a browser of its own for somebody; it may read the clipboard, as a person may paste."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []
    archives = tmp_path / "archives"

    def watch(page: Page) -> None:
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED)
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((server.base_url, "data:"))
                else complaints.append(f"asked {request.url}")
            ),
        )

    def start(
        *, viewport: ViewportSize = DESKTOP, scripts: bool = True, dark: bool = False
    ) -> Page:
        context = chromium.new_context(
            base_url=server.base_url,
            viewport=viewport,
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
            record_har_path=archives / f"{len(contexts)}.har",
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        return page

    yield start
    for context in contexts:
        context.close()
    for archive in archives.glob("*.har"):
        read_archive(s1_no_issued_secret_is_left_anywhere, archive)
        archive.unlink()  # it holds what people have typed
    assert complaints == []
