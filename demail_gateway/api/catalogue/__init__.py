"""Every problem the API can answer with: status, rule and texts in both languages, by its stable code.

`/problems/{code}` shows these entries, so that the `type` of a problem leads to an explanation.
"""

from demail_gateway.api.catalogue.calls import CALLS
from demail_gateway.api.catalogue.entry import Entry
from demail_gateway.api.catalogue.sending import SENDING
from demail_gateway.api.catalogue.states import STATES

CATALOGUE: dict[str, Entry] = {**CALLS, **SENDING, **STATES}

__all__ = ["CATALOGUE", "Entry"]
