"""How long a test waits before it calls slow what should be prompt."""

PROMPTLY = 5.0
"""Seconds. What is done at once may take this long on a busy machine; what wrongly waits for something waits longer."""
