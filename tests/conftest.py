"""For all tests: Hypothesis profiles, a factor for soaks, signals as a terminal gives them, a place for secrets,
and a collector that need not look at all tests."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

from tests.patience import PATIENCE

# A shell that runs the tests in the background has them ignore Ctrl-C and Ctrl-\, `nohup` the end of a terminal, and
# with them all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

# Nodes leave copies of their cluster's secret for their user: not in the home of whoever runs the tests.
STATE_HOME = tempfile.mkdtemp(prefix="visor-tests-state-")
os.environ["XDG_STATE_HOME"] = STATE_HOME
# Nor does a test, or a command that it starts, read or write the contexts of whoever runs it.
os.environ["XDG_CONFIG_HOME"] = STATE_HOME
# Where no bytecode may be written beside the code, it is written there: else each of the hundreds of processes that
# the tests start would compile all that it loads.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = STATE_HOME + "/bytecode"
# A call whose test says nothing of time has all the time there is.
os.environ["VISOR_TIMEOUT"] = str(PATIENCE)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take it away."""
    shutil.rmtree(STATE_HOME, ignore_errors=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the collector away from what all tests are made of: many collect, and that is most of what they cost."""
    gc.collect()
    gc.freeze()


settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=int(500 * float(os.environ.get("VISOR_SOAK", "1"))),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
