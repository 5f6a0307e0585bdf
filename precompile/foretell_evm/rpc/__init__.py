"""JSON-RPC: one table of methods and two doors, ``http.py`` and the in-process ``provider.py``."""
