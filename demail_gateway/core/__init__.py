"""TR 01201 in Python: values in, values out. No clock, ids, settings, sockets or async in here."""
