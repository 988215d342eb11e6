"""Settings shared by every test: how Hypothesis searches.

No deadlines, since a shared or slow machine would fail honest tests; in CI the search is the same in every run, so that
a red build means a changed program.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("laptop", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")
