"""Real `visord` processes under faults: a nemesis, recorded clients, measurements. See `python -m tests.cluster -h`."""
