"""Chain the audit log: numbers, digests, refusals, and what the caller's program calls itself

Revision: 0003, after 0002
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EVENTS = sa.table(
    "audit_events",
    sa.column("id", sa.BigInteger()),
    sa.column("organization_id", sa.Uuid()),
    sa.column("seq", sa.BigInteger()),
    sa.column("at", keystore.db.UtcDateTime()),
    sa.column("actor_kind", sa.String()),
    sa.column("actor_id", sa.String()),
    sa.column("actor_label", sa.String()),
    sa.column("address", sa.String()),
    sa.column("action", sa.String()),
    sa.column("outcome", sa.String()),
    sa.column("subject_type", sa.String()),
    sa.column("subject_id", sa.String()),
    sa.column("detail", sa.JSON()),
    sa.column("digest", sa.String()),
)
COPIED = (
    "actor_kind",
    "actor_id",
    "actor_label",
    "address",
    "action",
    "subject_type",
    "subject_id",
    "detail",
)
START = "0" * 64


def upgrade() -> None:
    heads = op.create_table(
        "audit_heads",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_audit_heads_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_audit_heads")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("seq", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("agent", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("outcome", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("digest", sa.String(length=64), nullable=True))
    bind = op.get_bind()
    for organization_id in bind.scalars(sa.select(EVENTS.c.organization_id).distinct()).all():
        length, digest = chain(bind, organization_id)
        bind.execute(
            heads.insert(),
            {"organization_id": organization_id, "length": length, "digest": digest},
        )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_events_organization_id")
        batch_op.drop_constraint("pk_audit_events", type_="primary")
        batch_op.drop_column("id")
        batch_op.alter_column("seq", existing_type=sa.BigInteger(), nullable=False)
        batch_op.alter_column("outcome", existing_type=sa.String(length=32), nullable=False)
        batch_op.alter_column("digest", existing_type=sa.String(length=64), nullable=False)
        batch_op.create_primary_key("pk_audit_events", ["organization_id", "seq"])
        batch_op.create_index("ix_audit_events_subject", ["organization_id", "subject_id"])


def chain(bind: sa.Connection, organization_id: object) -> tuple[int, str]:
    """Number and chain what there is, as keystore.chain did when this was written."""
    rows = bind.execute(
        sa.select(EVENTS).where(EVENTS.c.organization_id == organization_id).order_by(EVENTS.c.id)
    ).all()
    seq, digest = 0, START
    for row in rows:
        seq += 1
        members = {name: getattr(row, name) for name in COPIED} | {
            "organization_id": str(row.organization_id),
            "seq": seq,
            "at": row.at.isoformat(timespec="microseconds"),
            "agent": None,
            "outcome": "done",
        }
        canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"keyhook audit 1\n{digest}\n{canonical}".encode()).hexdigest()
        bind.execute(
            EVENTS.update().where(EVENTS.c.id == row.id),
            {"seq": seq, "outcome": "done", "digest": digest},
        )
    return seq, digest


def downgrade() -> None:
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_events_subject")
        batch_op.drop_constraint("pk_audit_events", type_="primary")
        batch_op.add_column(
            sa.Column(
                "id",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                sa.Identity(),
                nullable=False,
            )
        )
        batch_op.create_primary_key("pk_audit_events", ["id"])
        batch_op.create_index("ix_audit_events_organization_id", ["organization_id"])
        for name in ("digest", "outcome", "agent", "seq"):
            batch_op.drop_column(name)
    op.drop_table("audit_heads")
