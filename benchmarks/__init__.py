"""Measurements of Visor, made to be repeated: `python -m benchmarks list` names them.

`workload` says what is asked, `load` and `fanout` ask it (each in a process of its own), `node` runs a
real `visord` under them, `echo` is the floor beside it. `README.md` tells how to run and to read.
"""
