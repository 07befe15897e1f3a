"""The commands of the domain: `app`, `rev`, `proc`, `instance`, `ticket`, `scale`, `service`, `env`, `runner`, `event`,
`init`. One module each; `common` is what they share, `rows` how each kind of object looks.
"""

from __future__ import annotations
