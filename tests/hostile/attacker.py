"""The process of one attacker: `python -m tests.hostile.attacker NAME attack|prepare`, a `Field` as JSON on stdin.

In the end it prints what it saw, as JSON.
"""

from __future__ import annotations

import json
import sys
import traceback

from tests.hostile.field import Field
from tests.hostile.scenario import load


def main() -> None:
    one = load()[sys.argv[1]]
    field = Field(**json.load(sys.stdin))
    work = one.attack if sys.argv[2] == "attack" else one.prepare
    if work is not None:
        try:
            work(field)
        except Exception:
            # Whether an attacker comes to his end is his own matter, but whoever reads the table should know.
            field.notes.append(
                f"the attacker gave up: {traceback.format_exc(limit=-2).splitlines()[-1]:.160}"
            )
            if sys.argv[2] == "prepare":
                raise
    print(json.dumps({"problems": field.problems, "notes": field.notes}))


if __name__ == "__main__":
    main()
