"""The tests. A package, so that helpers are imported by one name from everywhere: `tests.wire`."""
