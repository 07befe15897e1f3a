"""The registry over HTTP: `visor gateway`. GATEWAY.md, beside this file, is the design.

Needs `pip install 'visor-registry[gateway]'`.
"""
