"""Reads of the store, one a module: functions of a store and a rev that give rows in the wire's shapes."""
