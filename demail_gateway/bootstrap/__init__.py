"""The one place where adapters meet ports: what each process receives is put together here from its settings.

Import the module you need: `rest` (REST process), `work` (worker, scheduler, listener), `command_line`, `offline`
(`verify`, identities), `schema` (migrate), `diagnosis` (`doctor`). Each loads only what its process uses.
"""
