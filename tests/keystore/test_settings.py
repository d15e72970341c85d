"""A wrong setting stops the start, and says which one and why."""

import os
import stat
import threading
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from keystore.errors import SettingsError
from keystore.settings import TABLE, Settings

KEY = "s" * 32


def read(tmp_path: Path, **environ: str) -> Settings:
    return Settings.from_env({"KEYHOOK_DATA_DIR": str(tmp_path / "data"), **environ})


def test_with_nothing_set_it_is_one_sqlite_file_and_its_own_keys(tmp_path: Path) -> None:
    settings = read(tmp_path)

    assert settings.database_url == f"sqlite:///{tmp_path}/data/keyhook.db"
    assert settings.base_url == "http://127.0.0.1:8400"
    assert settings.allow_networks == ()
    file = tmp_path / "data" / "secret_keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert settings.secret_keys[0].reveal() == file.read_text().strip()
    assert len(settings.secret_keys[0].reveal()) == 64


def test_the_keys_that_were_generated_stay(tmp_path: Path) -> None:
    first, second = read(tmp_path), read(tmp_path)

    assert first.secret_keys[0].reveal() == second.secret_keys[0].reveal()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_keys"]


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    start, seen = threading.Barrier(8), set()

    def begin() -> None:
        start.wait()
        seen.add(read(tmp_path).secret_keys[0].reveal())

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 1


def test_everything_can_be_set(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        KEYHOOK_DATABASE_URL="postgresql+psycopg://keyhook:pw@db/keyhook",
        KEYHOOK_SECRET_KEYS=f"{KEY},{'t' * 40}",
        KEYHOOK_BASE_URL="https://keys.example.com/",
        KEYHOOK_ALLOW_NETWORKS="10.1.0.0/16, fd00::/8",
        KEYHOOK_DELIVERY_TIMEOUT="2.5",
        KEYHOOK_SMTP_URL="smtps://keyhook:smtp-pw@mail.example.com",
        KEYHOOK_MAIL_FROM="Keyhook <keyhook@example.com>",
        KEYHOOK_LOG_LEVEL="DEBUG",
    )

    assert [key.reveal() for key in settings.secret_keys] == [KEY, "t" * 40]
    assert settings.base_url == "https://keys.example.com"
    assert settings.allow_networks == (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert (settings.delivery_timeout, settings.log_level) == (2.5, "debug")
    assert settings.smtp is not None
    assert (settings.smtp.host, settings.smtp.port) == ("mail.example.com", 465)
    assert settings.mail_from == "Keyhook <keyhook@example.com>"
    assert "pw" not in repr(settings), "a password in the address is not shown"
    assert KEY not in repr(settings)


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY + "\n")

    settings = read(tmp_path, KEYHOOK_SECRET_KEYS_FILE=str(file))

    assert [key.reveal() for key in settings.secret_keys] == [KEY]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("KEYHOOK_DATABASE_URL", "mysql://x/y", "not supported"),
        ("KEYHOOK_DATABASE_URL", "sqlite://", "needs a file"),
        ("KEYHOOK_DATABASE_URL", "nonsense", "not a database address"),
        ("KEYHOOK_DATABASE_URL", "sqlite+aiosqlite:///x.db", "not supported"),
        ("KEYHOOK_DATABASE_URL", "sqlite:///file:x?mode=memory&uri=true", "needs a file"),
        ("KEYHOOK_SECRET_KEYS", ",", "no key in it"),
        ("KEYHOOK_BASE_URL", "http://host:abc", "not an address like"),
        ("KEYHOOK_BASE_URL", "http://host:99999", "not an address like"),
        ("KEYHOOK_BASE_URL", "http://exa mple", "not an address like"),
        ("KEYHOOK_BASE_URL", "https://x:0", "not an address like"),
        ("KEYHOOK_DATABSE_URL", "sqlite:///x.db", "no such setting"),
        ("KEYHOOK_SECRET_KEYS", "short", "at least 32 characters"),
        ("KEYHOOK_SECRET_KEYS", f"{KEY},{KEY}", "twice"),
        ("KEYHOOK_BASE_URL", "keys.example.com", "not an address like"),
        ("KEYHOOK_BASE_URL", "ftp://example.com", "not an address like"),
        ("KEYHOOK_BASE_URL", "https://example.com/keys", "without a path"),
        ("KEYHOOK_ALLOW_NETWORKS", "10.0.0.1/8", "host bits"),
        ("KEYHOOK_ALLOW_NETWORKS", "loopback", "does not appear to be"),
        ("KEYHOOK_DELIVERY_TIMEOUT", "soon", "not a number"),
        ("KEYHOOK_DELIVERY_TIMEOUT", "0", "not between"),
        ("KEYHOOK_DELIVERY_TIMEOUT", "nan", "not between"),
        ("KEYHOOK_DELIVERY_RETENTION", "-1", "not a whole number of days"),
        ("KEYHOOK_DELIVERY_RETENTION", "1.5", "not a whole number of days"),
        ("KEYHOOK_DELIVERY_RETENTION", "36501", "not a whole number of days"),
        ("KEYHOOK_SMTP_URL", "mail.example.com", "not the address of an SMTP server"),
        ("KEYHOOK_SMTP_URL", "smtp://", "not the address of an SMTP server"),
        ("KEYHOOK_SMTP_URL", "smtp://mail.example.com:0", "not the address of an SMTP server"),
        ("KEYHOOK_SMTP_URL", "smtps://ada@mail.example.com", "a user and a password"),
        ("KEYHOOK_SMTP_URL", "smtps://ada:%C3%A4@mail.example.com", "ASCII"),
        ("KEYHOOK_SMTP_URL", "smtp://ada:pw@mail.example.com", "in the clear"),
        ("KEYHOOK_MAIL_FROM", "nobody", "give one address"),
        ("KEYHOOK_MAIL_FROM", "a@x.example, b@x.example", "give one address"),
        ("KEYHOOK_MAIL_FROM", "a@x.example\nBcc: b@x.example", "give one address"),
        ("KEYHOOK_LOG_LEVEL", "loud", "not one of"),
        ("KEYHOOK_SECRET_KEYS_FILE", "/nowhere/at/all", "cannot read"),
    ],
)
def test_a_wrong_value_is_named_with_the_reason(
    tmp_path: Path, name: str, value: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=why) as refused:
        read(tmp_path, **{name: value})

    assert refused.value.detail.startswith(name)
    assert "\n" not in refused.value.detail


def test_a_server_for_mails_needs_an_address_that_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KEYHOOK_MAIL_FROM: say which address"):
        read(tmp_path, KEYHOOK_SMTP_URL="smtp://127.0.0.1:25")


@pytest.mark.parametrize(
    ("days", "kept"), [("30", timedelta(days=30)), ("0", None), ("", timedelta(days=90))]
)
def test_what_was_delivered_is_kept_for_days_or_for_ever(
    tmp_path: Path, days: str, kept: timedelta | None
) -> None:
    given = {"KEYHOOK_DELIVERY_RETENTION": days} if days else {}
    assert read(tmp_path, **given).delivery_retention == kept


def test_a_value_and_a_file_for_it_is_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="both set"):
        read(tmp_path, KEYHOOK_SECRET_KEYS=KEY, KEYHOOK_SECRET_KEYS_FILE="/x")


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    read(tmp_path)
    file = tmp_path / "data" / "secret_keys"
    file.chmod(0o644)

    with pytest.raises(SettingsError, match="chmod 600"):
        read(tmp_path)


def test_keys_that_were_emptied_are_not_silently_replaced(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "data" / "secret_keys").write_text("")

    with pytest.raises(SettingsError, match="empty"):
        read(tmp_path)


def test_the_table_fills_every_field() -> None:
    assert {setting.field for setting in TABLE} == set(Settings.__dataclass_fields__)


def test_the_environment_itself_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYHOOK_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("KEYHOOK_LOG_LEVEL", "error")

    settings = Settings.from_env(os.environ)

    assert (settings.data_dir, settings.log_level) == (tmp_path / "elsewhere", "error")


def test_a_scanners_keys_come_over_https_or_from_this_machine(tmp_path: Path) -> None:
    def address(text: str) -> str:
        return read(tmp_path, KEYHOOK_LEAK_KEYS_URL=text).leak_keys_url

    assert read(tmp_path).leak_keys_url.startswith("https://api.github.com/")
    assert address("") == ""
    for good in ("https://scanner.example/keys?page=1", "http://127.0.0.1:8080/keys"):
        assert address(good) == good
    for bad in ("http://scanner.example/keys", "ftp://scanner.example/", "https:///keys", "keys"):
        with pytest.raises(SettingsError, match="KEYHOOK_LEAK_KEYS_URL"):
            address(bad)
