"""The tables of the ground floor: who there is, which keys they have, what was done."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime
from keystore.rotation import LeakPolicy, SecretState
from keystore.scopes import DataScope

NAME_LENGTH = 80
AGENT_LENGTH = 200

#: SQLite counts up by itself only in a plain INTEGER primary key.
Serial = BigInteger().with_variant(Integer(), "sqlite")


def stored_as_text(kind: type[StrEnum]) -> Enum:
    """Return a column type that stores an enum's value as plain text, with no database type."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class Role(StrEnum):
    """What a person may do in their organization."""

    ADMIN = "admin"
    MEMBER = "member"


class Organization(Base):
    """A customer of the product; everything belongs to exactly one."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Requests a minute of each key that has no limit of its own; NULL: the installation's.
    rate_limit: Mapped[int | None]
    #: Whether members may make personal keys of their own.
    members_make_keys: Mapped[bool] = mapped_column(default=False)
    #: What is done when one of its secrets was found in the open.
    leak_policy: Mapped[LeakPolicy] = mapped_column(
        stored_as_text(LeakPolicy), default=LeakPolicy.NOTIFY
    )


class User(Base):
    """A person who signs in to the settings pages."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)  # lower case
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    role: Mapped[Role] = mapped_column(stored_as_text(Role))
    password_hash: Mapped[str] = mapped_column(String(255))  # argon2id, PHC string
    is_active: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Key(Base):
    """The named thing in the list. Its secrets come and go; id and Client Key stay for good."""

    __tablename__ = "keys"
    __table_args__ = (
        Index(
            "uq_keys_live_name",
            "organization_id",
            "name",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    client_key: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    data_scope: Mapped[DataScope] = mapped_column(stored_as_text(DataScope))
    #: The person whose meetings a personal key sees; nobody for all other keys.
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    #: Where it may be used from (CIDR); NULL: anywhere.
    networks: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    generation: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    secret_created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: A deleted key leaves this row behind, so that its Client Key is never issued again.
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Which person did that; a member wakes only what they put to sleep themselves.
    disabled_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    rate_limit: Mapped[int | None]  # requests a minute; NULL: the organization's
    #: When the last planned spike ends: a check after it need not look for one.
    spikes_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Secret(Base):
    """One generation of a key's secret; only its digest is here."""

    __tablename__ = "secrets"
    __table_args__ = (
        Index("uq_secrets_generation", "key_id", "generation", unique=True),
        # The database itself refuses a second of either kind, whatever our code does.
        Index(
            "uq_secrets_current",
            "key_id",
            unique=True,
            sqlite_where=text("state = 'current'"),
            postgresql_where=text("state = 'current'"),
        ),
        Index(
            "uq_secrets_retiring",
            "key_id",
            unique=True,
            sqlite_where=text("state = 'retiring'"),
            postgresql_where=text("state = 'retiring'"),
        ),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"))
    generation: Mapped[int]
    digest: Mapped[str] = mapped_column(String(120), unique=True)
    state: Mapped[SecretState] = mapped_column(stored_as_text(SecretState))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Whether it was shown to somebody; a successor to a leaked secret is made without a witness.
    seen: Mapped[bool]
    #: While retiring: works strictly before this moment.
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    died_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SecretUse(Base):
    """When and from where a secret was last used; apart from it, so that using changes no key."""

    __tablename__ = "secret_uses"

    secret_id: Mapped[int] = mapped_column(ForeignKey("secrets.id"), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str | None] = mapped_column(String(AGENT_LENGTH))


class KeyDay(Base):
    """How many requests a key made on one day (UTC)."""

    __tablename__ = "key_days"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)


class Outcome(StrEnum):
    """Whether what somebody wanted was done."""

    DONE = "done"
    REFUSED = "refused"


class AuditEvent(Base):
    """One thing that somebody did, or was refused; chained to the one before by its digest."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_subject", "organization_id", "subject_id"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    #: 1, 2, 3 ... in each organization, without a gap.
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_label: Mapped[str] = mapped_column(String(254))
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str | None] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[Outcome] = mapped_column(stored_as_text(Outcome))
    subject_type: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """How many rows an organization's audit log has, and the last one's digest."""

    __tablename__ = "audit_heads"

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    length: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(64))


class AccessToken(Base):
    """What a client got for its Client Secret (OAuth 2.0); only its digest is here.

    It hangs on the very secret that obtained it, and dies with it.
    """

    __tablename__ = "access_tokens"

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    secret_id: Mapped[int] = mapped_column(ForeignKey("secrets.id"), index=True)
    public_part: Mapped[str] = mapped_column(String(20), unique=True)  # by which it is found
    digest: Mapped[str] = mapped_column(String(120))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Works strictly before this moment; some time later the row is removed.
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SignIn(Base):
    """One browser in which a person is signed in; only its token's digest is here."""

    __tablename__ = "sign_ins"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(16))  # of the password it began with
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime] = mapped_column(UtcDateTime)  # the password was last shown
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(AGENT_LENGTH))


class Failures(Base):
    """How often somebody was wrong lately; the bucket is a digest of what was tried."""

    __tablename__ = "failures"

    bucket: Mapped[str] = mapped_column(String(120), primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    blocked_until: Mapped[datetime] = mapped_column(UtcDateTime)


class Factor(Base):
    """A person's secret for one-time codes, sealed; it counts once it was confirmed."""

    __tablename__ = "factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_step: Mapped[int] = mapped_column(BigInteger)  # the newest period whose code was used


class RecoveryCode(Base):
    """One of the codes on paper; only its digest is here."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    digest: Mapped[str] = mapped_column(String(120))
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
