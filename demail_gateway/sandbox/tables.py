"""Tables of the sandbox provider, and the statements on them.

Every function takes the connection of the running transaction (`Store.run`). Times are aware UTC as ISO text where
they are shown, seconds since the epoch of the provider's own clock where they are compared.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from demail_gateway.sandbox.effects import (
    Account,
    Action,
    Effects,
    Folder,
    NewAction,
    NewMessage,
    NewSubmission,
    Outgoing,
    Recorded,
    Step,
    StoredMessage,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS connection (fingerprint TEXT PRIMARY KEY, auth_level TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS account (
    address TEXT PRIMARY KEY, holder TEXT NOT NULL, fingerprint TEXT, retrieval_entitlement INTEGER NOT NULL,
    natural_person INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS refusal (reference TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS submission (
    id INTEGER PRIMARY KEY, accepted_at TEXT NOT NULL, private_id TEXT, demail_message_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL, auth_level TEXT NOT NULL, sender TEXT NOT NULL, recipients INTEGER NOT NULL,
    raw BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS submission_by_private_id ON submission (private_id);
CREATE INDEX IF NOT EXISTS submission_by_sender ON submission (sender, accepted_at);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, submission_id INTEGER REFERENCES submission, demail_message_id TEXT NOT NULL,
    message_type TEXT NOT NULL, sender TEXT NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS mailbox (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL, folder TEXT NOT NULL, received_at TEXT NOT NULL,
    message_id INTEGER NOT NULL REFERENCES message) STRICT;
CREATE INDEX IF NOT EXISTS mailbox_by_address ON mailbox (address, folder, id);
CREATE TABLE IF NOT EXISTS action (
    id INTEGER PRIMARY KEY, due REAL NOT NULL, step TEXT NOT NULL, message_id INTEGER NOT NULL REFERENCES message,
    recipient TEXT NOT NULL, details TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outgoing (
    id INTEGER PRIMARY KEY, message_id INTEGER NOT NULL REFERENCES message, recipient TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS citizen (address TEXT PRIMARY KEY, key BLOB NOT NULL, certificate BLOB NOT NULL) STRICT;
"""


def record_submission(
    connection: sqlite3.Connection, submission: NewSubmission, copies: Sequence[NewMessage]
) -> Recorded:
    """A submission and the sealed copies made of it. The first copy's message id answers look-ups."""
    cursor = connection.execute(
        "INSERT INTO submission (accepted_at, private_id, demail_message_id, fingerprint, auth_level, sender,"
        " recipients, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            submission.accepted_at.isoformat(),
            submission.private_id,
            copies[0].demail_message_id,
            submission.fingerprint,
            submission.auth_level,
            submission.sender,
            submission.recipients,
            submission.raw,
        ),
    )
    return _record_messages(connection, copies, submission.accepted_at, cursor.lastrowid)


def record(connection: sqlite3.Connection, effects: Effects, at: datetime, *, done: Action | None = None) -> Recorded:
    """Writes `effects`; `done` is the step that brought them about and is taken off the list."""
    if done is not None:
        connection.execute("DELETE FROM action WHERE id = ?", (done.id,))
    recorded = _record_messages(connection, effects.messages, at, None)
    for message_id, address in effects.deliveries:
        _put_into_mailbox(connection, message_id, address, Folder.INBOX, at)
    outgoing = [_insert_outgoing(connection, message_id, address) for message_id, address in effects.remote]
    actions = [_insert_action(connection, action, action.message_id) for action in effects.actions]
    return Recorded((*recorded.actions, *actions), (*recorded.outgoing, *outgoing))


def settle_outgoing(connection: sqlite3.Connection, outgoing: Outgoing, then: NewAction | None) -> Recorded:
    """Takes a delivery to the gateway off the list; `then` is the step that follows."""
    connection.execute("DELETE FROM outgoing WHERE id = ?", (outgoing.id,))
    actions = () if then is None else (_insert_action(connection, then, outgoing.message_id),)
    return Recorded(actions, ())


def everything_open(connection: sqlite3.Connection) -> Recorded:
    """All steps and deliveries that are still to be done, after a start."""
    actions = connection.execute("SELECT id, due, step, message_id, recipient, details FROM action ORDER BY id")
    outgoing = connection.execute("SELECT id, message_id, recipient FROM outgoing ORDER BY id")
    return Recorded(
        tuple(Action(i, due, Step(step), m, r, json.loads(d)) for i, due, step, m, r, d in actions),
        tuple(Outgoing(*row) for row in outgoing),
    )


def message(connection: sqlite3.Connection, message_id: int) -> StoredMessage:
    row = connection.execute(
        "SELECT id, demail_message_id, message_type, sender, sealed FROM message WHERE id = ?", (message_id,)
    ).fetchone()
    return StoredMessage(*row)


def mailbox(connection: sqlite3.Connection, address: str, folder: Folder) -> list[tuple[str, str, str, bytes]]:
    """De-Mail message id, type, time of receipt and octets of everything in a mailbox, oldest first."""
    return connection.execute(
        "SELECT demail_message_id, message_type, received_at, sealed FROM mailbox JOIN message ON message.id ="
        " message_id WHERE address = ? AND folder = ? ORDER BY mailbox.id",
        (address, folder),
    ).fetchall()


def submission_by_private_id(connection: sqlite3.Connection, private_id: str) -> tuple[str, str] | None:
    """Time of acceptance and De-Mail message id of the first submission with this private id."""
    row: tuple[str, str] | None = connection.execute(
        "SELECT accepted_at, demail_message_id FROM submission WHERE private_id = ? ORDER BY id LIMIT 1", (private_id,)
    ).fetchone()
    return row


def sent_since(connection: sqlite3.Connection, sender: str, since: datetime) -> tuple[int, int]:
    """Messages and recipients of a sender at level *normal* since a moment."""
    row: tuple[int, int] = connection.execute(
        "SELECT count(*), coalesce(sum(recipients), 0) FROM submission WHERE sender = ? AND accepted_at >= ?"
        " AND auth_level = 'normal'",
        (sender, since.isoformat()),
    ).fetchone()
    return row


def refuse_once_more(connection: sqlite3.Connection, reference: str, limit: int) -> bool:
    """True, and counted, while a message was refused fewer than `limit` times."""
    row = connection.execute("SELECT times FROM refusal WHERE reference = ?", (reference,)).fetchone()
    times = 0 if row is None else row[0]
    if times >= limit:
        return False
    connection.execute("INSERT OR REPLACE INTO refusal (reference, times) VALUES (?, ?)", (reference, times + 1))
    return True


def set_connection(connection: sqlite3.Connection, fingerprint: str, auth_level: str) -> None:
    connection.execute("INSERT OR REPLACE INTO connection VALUES (?, ?)", (fingerprint, auth_level))


def connections(connection: sqlite3.Connection) -> dict[str, str]:
    """Level per client certificate, for those whose level was set."""
    return dict(connection.execute("SELECT fingerprint, auth_level FROM connection").fetchall())


def set_account(connection: sqlite3.Connection, account: Account) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?, ?)",
        (
            account.address,
            account.holder,
            account.fingerprint,
            account.retrieval_entitlement,
            account.natural_person,
        ),
    )


def accounts(connection: sqlite3.Connection) -> dict[str, Account]:
    rows = connection.execute("SELECT address, holder, fingerprint, retrieval_entitlement, natural_person FROM account")
    return {row[0]: Account(row[0], row[1], row[2], bool(row[3]), bool(row[4])) for row in rows}


def set_setting(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Keeps a value that JSON can write."""
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))


def setting(connection: sqlite3.Connection, name: str) -> Any:
    """The kept value; None if there is none."""
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return None if row is None else json.loads(row[0])


def citizen(connection: sqlite3.Connection, address: str) -> tuple[bytes, bytes] | None:
    """PKCS #8 and certificate (DER) of a citizen who has one."""
    row: tuple[bytes, bytes] | None = connection.execute(
        "SELECT key, certificate FROM citizen WHERE address = ?", (address,)
    ).fetchone()
    return row


def add_citizen(connection: sqlite3.Connection, address: str, key: bytes, certificate: bytes) -> tuple[bytes, bytes]:
    """Keeps a citizen's key and certificate; whoever came first stays, and is returned."""
    connection.execute("INSERT OR IGNORE INTO citizen VALUES (?, ?, ?)", (address, key, certificate))
    kept = citizen(connection, address)
    assert kept is not None
    return kept


def _record_messages(
    connection: sqlite3.Connection, messages: Iterable[NewMessage], at: datetime, submission_id: int | None
) -> Recorded:
    actions: list[Action] = []
    outgoing: list[Outgoing] = []
    for new in messages:
        message_id = _insert_message(connection, new, submission_id)
        for address, folder in new.local:
            _put_into_mailbox(connection, message_id, address, folder, at)
        outgoing += [_insert_outgoing(connection, message_id, address) for address in new.remote]
        actions += [_insert_action(connection, action, action.message_id or message_id) for action in new.actions]
    return Recorded(tuple(actions), tuple(outgoing))


def _insert_message(connection: sqlite3.Connection, new: NewMessage, submission_id: int | None) -> int:
    cursor = connection.execute(
        "INSERT INTO message (submission_id, demail_message_id, message_type, sender, sealed) VALUES (?, ?, ?, ?, ?)",
        (submission_id, new.demail_message_id, new.message_type, new.sender, new.sealed),
    )
    return _row_id(cursor)


def _put_into_mailbox(
    connection: sqlite3.Connection, message_id: int, address: str, folder: Folder, at: datetime
) -> None:
    connection.execute(
        "INSERT INTO mailbox (address, folder, received_at, message_id) VALUES (?, ?, ?, ?)",
        (address, folder, at.isoformat(), message_id),
    )


def _insert_outgoing(connection: sqlite3.Connection, message_id: int, recipient: str) -> Outgoing:
    cursor = connection.execute("INSERT INTO outgoing (message_id, recipient) VALUES (?, ?)", (message_id, recipient))
    return Outgoing(_row_id(cursor), message_id, recipient)


def _insert_action(connection: sqlite3.Connection, new: NewAction, message_id: int | None) -> Action:
    assert message_id is not None
    due = new.due.astimezone(UTC).timestamp()
    cursor = connection.execute(
        "INSERT INTO action (due, step, message_id, recipient, details) VALUES (?, ?, ?, ?, ?)",
        (due, new.step, message_id, new.recipient, json.dumps(new.details)),
    )
    return Action(_row_id(cursor), due, new.step, message_id, new.recipient, new.details)


def _row_id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
