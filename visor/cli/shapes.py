"""What the commands print as JSON: pure functions from what the client gives to plain dicts.

`OUTPUT.md` beside this file is the contract. Keys are only ever added.
"""
