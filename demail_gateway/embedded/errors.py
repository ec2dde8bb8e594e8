"""What goes wrong with a private server is for the person at the terminal: the message says what to do."""


class EmbeddedError(RuntimeError):
    """A private PostgreSQL or Valkey cannot be found or does not start."""
