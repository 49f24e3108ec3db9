"""The command line on engines without a model: `python -m tests.chaos.driver label JOB --out OUT`.

Everything but the engine is what `prm-factory` runs. CHAOS_DELAY_S says how long an engine takes
for a call.
"""

import os
from functools import partial

from factory import pipeline
from factory.cli import main
from tests.chaos.engine import OpenFragile

DELAY = "CHAOS_DELAY_S"


if __name__ == "__main__":
    engine = OpenFragile(delay_s=float(os.environ.get(DELAY, "0.1")))
    pipeline.label = partial(pipeline.label, opener=lambda section: engine)  # type: ignore[assignment]
    main()
