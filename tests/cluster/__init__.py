"""Real `visord` processes under faults: a nemesis, a recorded workload, and measurements. `python -m tests.cluster -h`."""
