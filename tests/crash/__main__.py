"""`python -m tests.crash --kills 200 --seed 1`: kill a writing node so often; exit 1 when a promise was broken."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.campaign import Campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--data-dir", type=Path, default=None, help="where to keep the data [temporary]")
    parser.add_argument("--trim", action="store_true", help="trim history on the way")
    options = parser.parse_args()
    folder = options.data_dir or Path(tempfile.mkdtemp(prefix="visord-crash-"))
    print(f"seed {options.seed}, data in {folder}", flush=True)
    campaign = Campaign(folder / "data", options.seed, trim=options.trim)
    started = time.monotonic()
    try:
        campaign.run(options.kills)
    except BaseException as error:
        print(campaign.report())
        print(f"BROKEN after {time.monotonic() - started:.0f} s: {type(error).__name__}: {error}")
        print(f"the data is kept in {folder}")
        return 1
    print(campaign.report())
    print(f"every promise was kept, {time.monotonic() - started:.0f} s")
    if options.data_dir is None:
        shutil.rmtree(folder)
    return 0


sys.exit(main())
