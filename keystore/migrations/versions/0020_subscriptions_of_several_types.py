"""Subscriptions of several event types, of teams, signed by a key pair; organizations' secrets

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MOMENT = keystore.db.UtcDateTime(timezone=True)


def upgrade() -> None:
    _choices()
    _types()
    _teams()
    op.create_table(
        "signing_secrets",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("set_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_signing_secrets_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_signing_secrets")),
    )


def _choices() -> None:
    # In place: these tables are large.
    for column in (
        sa.Column("event_types", sa.Text(), nullable=False, server_default=""),
        sa.Column("header_names", sa.Text(), nullable=False, server_default=""),
        sa.Column("by_team", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("public_key", sa.String(64)),
        sa.Column("verify", sa.String(16)),
    ):
        op.add_column("subscriptions", column)
    op.add_column("audiences", sa.Column("attributed", sa.Text()))
    op.execute("UPDATE subscriptions SET event_types = event_type")


def _types() -> None:
    op.create_table(
        "subscription_types",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sa.String(64), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_subscription_types_subscription_id_subscriptions"),
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "event_type", "subscription_id", name=op.f("pk_subscription_types")
        ),
    )
    op.create_index(
        op.f("ix_subscription_types_subscription_id"), "subscription_types", ["subscription_id"]
    )
    op.execute(
        "INSERT INTO subscription_types (organization_id, event_type, subscription_id) "
        "SELECT organization_id, event_type, id FROM subscriptions WHERE ended_at IS NULL"
    )
    op.drop_index("ix_subscriptions_active", "subscriptions")
    op.create_index(
        "ix_subscriptions_active",
        "subscriptions",
        ["organization_id"],
        sqlite_where=sa.text("is_active = 1"),
        postgresql_where=sa.text("is_active"),
    )
    op.drop_column("subscriptions", "event_type")


def _teams() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_teams_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
    )
    op.create_index("uq_teams_name", "teams", ["organization_id", "name"], unique=True)
    op.create_table(
        "team_members",
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name=op.f("fk_team_members_team_id_teams")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_team_members_user_id_users")
        ),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_team_members")),
    )
    op.create_index(op.f("ix_team_members_user_id"), "team_members", ["user_id"])
    op.create_table(
        "subscription_teams",
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_subscription_teams_subscription_id_subscriptions"),
        ),
        sa.PrimaryKeyConstraint("subscription_id", "team_id", name=op.f("pk_subscription_teams")),
    )


def downgrade() -> None:
    """Go back to one event type each: of several the first stays."""
    for table in ("subscription_teams", "team_members", "teams", "signing_secrets"):
        op.drop_table(table)
    op.drop_index("ix_subscriptions_active", "subscriptions")
    op.drop_table("subscription_types")
    op.add_column(
        "subscriptions", sa.Column("event_type", sa.String(64), nullable=False, server_default="")
    )
    first = "substr(event_types || ' ', 1, {} - 1)"
    here = "strpos" if op.get_bind().dialect.name == "postgresql" else "instr"
    first = first.format(f"{here}(event_types || ' ', ' ')")
    op.execute(f"UPDATE subscriptions SET event_type = {first}")  # noqa: S608
    op.create_index(
        "ix_subscriptions_active",
        "subscriptions",
        ["organization_id", "event_type"],
        sqlite_where=sa.text("is_active = 1"),
        postgresql_where=sa.text("is_active"),
    )
    op.drop_column("audiences", "attributed")
    for name in ("verify", "public_key", "by_team", "header_names", "event_types"):
        op.drop_column("subscriptions", name)
