"""People who mean harm, against real members: `python -m tests.hostile`. README.md tells how to read it."""
