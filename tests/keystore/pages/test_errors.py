"""Errors are pages with one clear sentence, and never show what is inside."""

import pytest
from flask import Flask

from keystore.pages.errors import OUR_FAULT
from tests.keystore.pages.browser import NEW_KEY, Browser


def test_an_unknown_address(stranger: Browser) -> None:
    page = stranger.get("/nowhere/<script>/")

    assert page.status_code == 404
    assert "There is nothing here" in page.text
    assert "<script>/" not in page.text


def test_a_wrong_method(ada: Browser) -> None:
    assert "can&#39;t be opened like that" in ada.get("/sign-out/").text


def test_too_much_text(ada: Browser) -> None:
    page = ada.submit(NEW_KEY, name="x" * 1_000_000)

    assert page.status_code == 413
    assert "too much text" in page.text


def test_a_mistake_of_ours_shows_no_stack(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/broken/")
    def broken() -> str:
        raise ZeroDivisionError("kh-internal-detail")

    page = Browser(app).get("/broken/")

    assert page.status_code == 500
    assert OUR_FAULT[0] in page.text
    assert "kh-internal-detail" not in page.text
    assert "kh-internal-detail" in caplog.text  # but we get to know


def test_the_api_answers_for_itself(stranger: Browser) -> None:
    page = stranger.get("/v1/nowhere/")

    assert page.status_code == 404
    assert "There is nothing here" not in page.text
