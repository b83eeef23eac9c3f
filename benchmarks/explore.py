"""How long a widget takes to follow one step of a control: ``python -m benchmarks.explore``."""

import statistics
import time

from tests.test_explore import WIDGETS, values

for name, make in WIDGETS.items():
    widget, times = make(), []
    for control in widget.controls.values():
        for part in getattr(control, "parts", [control]):
            for value in values(part):
                start = time.perf_counter()
                part.value = value
                times.append(1e3 * (time.perf_counter() - start))
    print(f"{name:18} median {statistics.median(times):6.1f} ms, slowest {max(times):6.1f} ms of {len(times)} steps")
