"""Who disabled a key

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.add_column(sa.Column("disabled_by", sa.Uuid()))
        batch.create_foreign_key("fk_keys_disabled_by_users", "users", ["disabled_by"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.drop_constraint("fk_keys_disabled_by_users", type_="foreignkey")
        batch.drop_column("disabled_by")
