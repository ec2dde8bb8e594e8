"""Log, metrics and traces of every program of the gateway, the sandbox included."""
