"""Data scopes, scopes by resource, allowed networks, keys of members

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEW = {
    "meetings:read": ["meetings:read", "transcripts:read", "notes:read"],
    "webhooks": ["webhooks:manage"],
}
OLD = {
    "transcripts:read": [],
    "notes:read": [],
    "webhooks:manage": ["webhooks"],
    "keys:manage": [],
}


def upgrade() -> None:
    op.add_column(
        "organizations",
        sa.Column("members_make_keys", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    with op.batch_alter_table("keys") as batch:
        # Every key that there is has been made before there was a choice.
        batch.add_column(
            sa.Column("data_scope", sa.String(32), server_default="legacy", nullable=False)
        )
        batch.add_column(sa.Column("owner_id", sa.Uuid()))
        batch.add_column(sa.Column("networks", sa.JSON()))
        batch.create_foreign_key("fk_keys_owner_id_users", "users", ["owner_id"], ["id"])
        batch.create_index("ix_keys_owner_id", ["owner_id"])
    _rename("keys", NEW)
    _rename("access_tokens", NEW)


def downgrade() -> None:
    _rename("access_tokens", OLD)
    _rename("keys", OLD)
    with op.batch_alter_table("keys") as batch:
        batch.drop_index("ix_keys_owner_id")
        batch.drop_constraint("fk_keys_owner_id_users", type_="foreignkey")
        batch.drop_column("networks")
        batch.drop_column("owner_id")
        batch.drop_column("data_scope")
    with op.batch_alter_table("organizations") as batch:
        batch.drop_column("members_make_keys")


def _rename(name: str, names: dict[str, list[str]]) -> None:
    """Write the scopes of every row in other words."""
    id_type = sa.Uuid() if name == "keys" else sa.BigInteger()
    table = sa.table(name, sa.column("id", id_type), sa.column("scopes", sa.JSON()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(table.c.id, table.c.scopes)).all():
        scopes = sorted({new for old in row.scopes for new in names.get(old, [old])})
        if scopes != row.scopes:
            changed = table.update().where(table.c.id == row.id).values(scopes=scopes)
            connection.execute(changed)
