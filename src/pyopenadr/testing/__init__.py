"""What helps to test code that is built on pyopenadr: a VTN and VENs in one process, with a clock that you move.

    async with Pair() as pair:
        await pair.vtn.add_event(start=pair.clock.now(), intervals=[(timedelta(hours=1), 2)])
        await pair.advance(minutes=1)

In pytest the fixtures of `pyopenadr.testing.fixture` do that for you; name the module in your `conftest.py`.
"""

from pyopenadr.testing.clock import StillClock
from pyopenadr.testing.pair import Pair
from pyopenadr.testing.recorder import Recorded, Recorder
from pyopenadr.transport.memory import Fault, FaultHook

__all__ = ["Fault", "FaultHook", "Pair", "Recorded", "Recorder", "StillClock"]
