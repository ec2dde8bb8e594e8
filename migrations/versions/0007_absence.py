"""When a provider first said that it has not taken a hand-over whose end is unknown (SND-43).

A second such answer proves absence only some time after the first, whatever was answered or died in between.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("absent_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("attempt", "absent_at")
