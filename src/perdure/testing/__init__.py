"""Public helpers for tests of machines and of stores. Nothing else in the package imports them.

``SimulatedClock`` and ``CountingEntropy`` make a run the same every time; ``pytest_plugin`` has fixtures with them.
"""

from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock

__all__ = ["CountingEntropy", "SimulatedClock"]
