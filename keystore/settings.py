"""The installation's settings: one frozen value, read once from `KEYHOOK_*`.

Each variable may also be given as `<NAME>_FILE`, the path of a file that holds the value. A value
that we cannot use stops the start, with the variable's name and the reason.
"""

import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from keystore import smtp
from keystore.credentials import SecretValue
from keystore.errors import SettingsError
from keystore.networks import Network
from keystore.smtp import SmtpServer

MOST_DAYS = 36_500
RETRY_SCHEDULES = ("contract", "standard")
LOG_LEVELS = ("debug", "info", "warning", "error")
MIN_SECRET_KEY_LENGTH = 32
SECRET_KEYS_FILE = "secret_keys"  # noqa: S105 - a file's name
MAX_DELIVERY_TIMEOUT = 60.0
MAX_RATE_LIMIT = 1_000_000_000  # fits the database's integers
LOOPBACK = ("localhost", "127.0.0.1", "::1")
GITHUB_KEYS_URL = "https://api.github.com/meta/public_keys/secret_scanning"


@dataclass(frozen=True)
class Settings:
    """All that an installation can be told. `TABLE` says what each field means."""

    data_dir: Path
    database_url: str = field(repr=False)  # may hold a password
    secret_keys: tuple[SecretValue, ...]
    base_url: str
    allow_networks: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]
    metrics_networks: tuple[Network, ...]
    delivery_timeout: float
    retry_schedule: str  # one of RETRY_SCHEDULES
    delivery_retention: timedelta | None  # None: for ever
    rate_limit: int
    spike_ceiling: int
    leak_keys_url: str  # "": nobody reports leaked secrets
    smtp: SmtpServer | None
    mail_from: str
    log_level: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read every setting; create the data directory and, when none are set, the secret keys.

        Raises SettingsError, which names the variable and says what is wrong with it.
        """
        _refuse_unknown(environ)
        raw = {setting.name: _raw(environ, setting.name) for setting in TABLE}
        values: dict[str, Any] = {}
        for setting in TABLE:
            text = raw[setting.name]
            values[setting.field] = setting.parse(setting.default if text is None else text)
        if values["smtp"] is not None and not values["mail_from"]:
            raise SettingsError(
                "KEYHOOK_MAIL_FROM: say which address mails come from, as KEYHOOK_SMTP_URL is set"
            )
        data_dir: Path = values["data_dir"]
        _make_data_dir(data_dir)
        values["database_url"] = values["database_url"] or f"sqlite:///{data_dir / 'keyhook.db'}"
        values["secret_keys"] = values["secret_keys"] or _own_secret_keys(data_dir)
        return cls(**values)


@dataclass(frozen=True)
class Setting:
    """One row of the table: the variable, the field it fills, and what to tell its reader."""

    name: str
    field: str
    default: str
    shown_default: str
    doc: str
    read: Callable[[str], Any]

    def parse(self, text: str) -> Any:
        try:
            return self.read(text.strip())
        except ValueError as error:
            raise SettingsError(f"{self.name}: {error}") from None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """Refuse a misspelt variable: it would leave its setting at the default, unnoticed."""
    known = {setting.name + suffix for setting in TABLE for suffix in ("", "_FILE")}
    for name in sorted(environ):
        if name.startswith("KEYHOOK_") and name not in known:
            raise SettingsError(f"{name}: there is no such setting; `keyhook settings` lists them.")


def _raw(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable's text, from the environment or from the file that `<NAME>_FILE` names."""
    text, file = environ.get(name), environ.get(f"{name}_FILE")
    if text is not None and file is not None:
        raise SettingsError(f"{name} and {name}_FILE are both set; keep one of them.")
    if file is None:
        return text
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE: cannot read {file}: {error}") from None


def _path(text: str) -> Path:
    if not text:
        raise ValueError("give the path of a directory")
    return Path(text).expanduser().absolute()


def _database_url(text: str) -> str:
    if not text:
        return ""
    hint = "use sqlite:///path/to/file or postgresql+psycopg://user@host/database"
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError(f"this is not a database address; {hint}") from None
    if url.drivername in {"sqlite", "sqlite+pysqlite"}:
        in_memory = url.query.get("mode") == "memory" or ":memory:" in (url.database or "")
        if not url.database or in_memory:
            raise ValueError("SQLite needs a file, as several threads share it; " + hint)
        return text
    if url.drivername in {"postgresql", "postgresql+psycopg"}:
        return text
    raise ValueError(f"{url.drivername} is not supported; {hint}")


def _secret_keys(text: str) -> tuple[SecretValue, ...]:
    keys = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    if text and not keys:
        raise ValueError("there is no key in it; leave it unset to have one generated")
    if any(len(key) < MIN_SECRET_KEY_LENGTH for key in keys):
        raise ValueError(
            f"each key needs at least {MIN_SECRET_KEY_LENGTH} characters; make one with "
            "`python -c 'import secrets; print(secrets.token_hex(32))'`"
        )
    if len(set(keys)) != len(keys):
        raise ValueError("the same key is there twice")
    return tuple(SecretValue(key) for key in keys)


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text!r} is not an address like https://keyhook.example.com")
    try:
        wrong_port = parts.port == 0
    except ValueError:
        wrong_port = True
    if wrong_port or not text.isascii() or any(character.isspace() for character in text):
        raise ValueError(f"{text!r} is not an address like https://keyhook.example.com:8443")
    if parts.query or parts.fragment or "@" in parts.netloc or parts.path.strip("/"):
        raise ValueError(f"{text!r} must be scheme, host and port alone, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _networks(text: str) -> tuple[Network, ...]:
    networks = []
    for part in text.replace(",", " ").split():
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            raise ValueError(f"{error}; give networks like 10.1.0.0/16, fd00::/8") from None
    return tuple(networks)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds <= MAX_DELIVERY_TIMEOUT:
        raise ValueError(f"{text} is not between 0 and {MAX_DELIVERY_TIMEOUT:.0f} seconds")
    return seconds


def _requests(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_RATE_LIMIT:
        raise ValueError(f"{text!r} is not a number from 1 to {MAX_RATE_LIMIT:,}")
    return int(text)


def _leak_keys_url(text: str) -> str:
    if not text:
        return ""
    parts = urlsplit(text)
    # These keys decide whose reports we believe; nobody on the way may replace them.
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError(f"{text!r} is not an address like https://api.github.com/...")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("this address must begin with https://")
    return text


def _retry_schedule(text: str) -> str:
    if text.lower() not in RETRY_SCHEDULES:
        raise ValueError(f"{text!r} is not one of {', '.join(RETRY_SCHEDULES)}")
    return text.lower()


def _days(text: str) -> timedelta | None:
    if not text.isascii() or not text.isdecimal() or int(text) > MOST_DAYS:
        raise ValueError(f"{text!r} is not a whole number of days, 0 to {MOST_DAYS:,}")
    return timedelta(days=int(text)) or None


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"{text!r} is not one of {', '.join(LOG_LEVELS)}")
    return text.lower()


TABLE = (
    Setting(
        "KEYHOOK_DATA_DIR",
        "data_dir",
        "keyhook-data",
        "`./keyhook-data`",
        "Directory for the SQLite file and the generated secret keys.",
        _path,
    ),
    Setting(
        "KEYHOOK_DATABASE_URL",
        "database_url",
        "",
        "`keyhook.db` in the data directory",
        "`sqlite:///path/to/file`, or `postgresql+psycopg://user@host/database`.",
        _database_url,
    ),
    Setting(
        "KEYHOOK_SECRET_KEYS",
        "secret_keys",
        "",
        "generated into the data directory, mode 0600",
        "Keys for digests, seals and sessions, newest first, separated by commas. Keep them apart "
        "from the database's backups.",
        _secret_keys,
    ),
    Setting(
        "KEYHOOK_BASE_URL",
        "base_url",
        "http://127.0.0.1:8400",
        "`http://127.0.0.1:8400`",
        "The address under which the world reaches this server; links are built on it.",
        _base_url,
    ),
    Setting(
        "KEYHOOK_ALLOW_NETWORKS",
        "allow_networks",
        "",
        "empty",
        "Networks (CIDR) that webhooks may reach though they are private; link-local and cloud "
        "metadata addresses stay refused.",
        _networks,
    ),
    Setting(
        "KEYHOOK_TRUSTED_PROXIES",
        "trusted_proxies",
        "",
        "empty",
        "Networks (CIDR) of the proxies before this server. What they say in `X-Forwarded-For` "
        "counts as a request's address; from anybody else it is ignored.",
        _networks,
    ),
    Setting(
        "KEYHOOK_METRICS_NETWORKS",
        "metrics_networks",
        "127.0.0.0/8, ::1/128",
        "`127.0.0.0/8, ::1/128`",
        "Networks (CIDR) from which `/metrics` may be read; empty: nobody reads it.",
        _networks,
    ),
    Setting(
        "KEYHOOK_DELIVERY_TIMEOUT",
        "delivery_timeout",
        "15",
        "`15`",
        "Seconds that one delivery attempt may take, from the name's look-up to the last byte.",
        _seconds,
    ),
    Setting(
        "KEYHOOK_RETRY_SCHEDULE",
        "retry_schedule",
        "contract",
        "`contract`",
        "When a delivery is tried again: `contract` (5 times within 39 hours) or `standard`, as "
        "Standard Webhooks has it (9 times within 76 hours).",
        _retry_schedule,
    ),
    Setting(
        "KEYHOOK_DELIVERY_RETENTION",
        "delivery_retention",
        "90",
        "`90`",
        "Days for which events, their deliveries and all attempts are kept; what waits is kept in "
        "any case. `0`: for ever.",
        _days,
    ),
    Setting(
        "KEYHOOK_RATE_LIMIT",
        "rate_limit",
        "60",
        "`60`",
        "Requests a minute that a key may make when neither it nor its organization has a limit.",
        _requests,
    ),
    Setting(
        "KEYHOOK_SPIKE_CEILING",
        "spike_ceiling",
        "6000",
        "`6000`",
        "The highest limit, in requests a minute, that an admin may give a key, or a planned "
        "spike.",
        _requests,
    ),
    Setting(
        "KEYHOOK_LEAK_KEYS_URL",
        "leak_keys_url",
        GITHUB_KEYS_URL,
        "GitHub's",
        "Where the public keys of the secret scanner are that may report leaked secrets to "
        "`/v1/leaks/github/`; empty switches these reports off.",
        _leak_keys_url,
    ),
    Setting(
        "KEYHOOK_SMTP_URL",
        "smtp",
        "",
        "empty: no mail is sent",
        "The server that sends mails: `smtp+starttls://user:password@host:587`, `smtps://…`, or "
        "`smtp://host` for a relay that wants no password.",
        smtp.server,
    ),
    Setting(
        "KEYHOOK_MAIL_FROM",
        "mail_from",
        "",
        "empty",
        "The address that mails come from, like `Keyhook <keyhook@example.com>`.",
        smtp.sender,
    ),
    Setting(
        "KEYHOOK_LOG_LEVEL",
        "log_level",
        "info",
        "`info`",
        "`debug`, `info`, `warning` or `error`.",
        _log_level,
    ),
)


def _make_data_dir(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"KEYHOOK_DATA_DIR: cannot create {data_dir}: {error}") from None


def _own_secret_keys(data_dir: Path) -> tuple[SecretValue, ...]:
    """Return the keys in the data directory's file, making it on the first start.

    Several processes may start at once: each writes a file of its own and links it to the final
    name, which only one can do; all then read the same file.
    """
    path = data_dir / SECRET_KEYS_FILE
    try:
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{path} can be read by others; run `chmod 600 {path}`.")
        keys = _secret_keys(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"KEYHOOK_SECRET_KEYS: cannot use {path}: {error}") from None
    if not keys:
        raise SettingsError(f"KEYHOOK_SECRET_KEYS: {path} is empty; restore it from a backup.")
    return keys
