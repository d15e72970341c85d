"""What we ship: a wheel that holds everything and serves in an empty virtual environment."""

import re
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest
import requests

from tests.support.server import clean_environment, free_port, stop

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = out.glob("*.whl")
    return built


def test_it_holds_the_packages_templates_static_files_and_migrations(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    source = {
        str(path.relative_to(ROOT))
        for package in ("connector", "keystore", "webhooks")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert source <= held
    assert any(name.endswith(".html") for name in held)
    assert any(name.endswith(".css") for name in held)
    assert any("/migrations/versions/" in name for name in held)
    assert not any(name.startswith("tests/") for name in held)


def test_it_installs_and_serves_in_an_empty_virtual_environment(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    binaries = environment / "bin"
    pinned = tmp_path / "constraints.txt"
    lock = (ROOT / "requirements.lock").read_text()
    pinned.write_text("\n".join(re.findall(r"^[A-Za-z0-9_.\[\]-]+==\S+", lock, re.MULTILINE)))
    pinned.write_text(re.sub(r"\[[^]]*\]", "", pinned.read_text()))
    subprocess.run(
        [binaries / "pip", "install", "-q", "--disable-pip-version-check", "-c", pinned, wheel],
        check=True,
    )
    environ = clean_environment(KEYHOOK_DATA_DIR=str(tmp_path / "data"))
    port = free_port()
    subprocess.run(
        [binaries / "keyhook", "init", "--organization", "Northwind", "--admin", "ada@n.example"],
        input="correct horse battery\n",
        text=True,
        env=environ,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    process = subprocess.Popen(
        [binaries / "keyhook", "serve", "--port", str(port), "--with-worker"],
        env=environ,
        cwd=tmp_path,
        text=True,
    )
    try:
        assert answers(f"http://127.0.0.1:{port}/healthz") == {"status": "ok"}
        page = requests.get(f"http://127.0.0.1:{port}/sign-in/", timeout=10)
        assert page.status_code == 200
        for address in re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js))"', page.text):
            asset = requests.get(f"http://127.0.0.1:{port}{address}", timeout=10)
            assert asset.status_code == 200, address
    finally:
        stop(process)


def answers(url: str) -> object:
    deadline = time.monotonic() + 60
    while True:
        try:
            return requests.get(url, timeout=5).json()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "it does not serve"
            time.sleep(0.1)
