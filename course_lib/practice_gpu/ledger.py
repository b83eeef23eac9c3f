"""What the practice GPU counts, and the model of its time."""

import contextlib

# The model behind the clock: round numbers in seconds and bytes per second, of nobody's machine.
LAUNCH, COPY_LATENCY = 5e-6, 10e-6
MEMORY_BANDWIDTH, BUS_BANDWIDTH = 500e9, 10e9


class Ledger:
    """What the practice GPU did while it was watched: ``events`` are ``(kind, name, bytes)`` in their order."""

    def __init__(self):
        self.events = []

    def count(self, kind):
        """How many events of a kind: ``"kernel"``, ``"to host"`` or ``"to device"``."""
        return sum(event[0] == kind for event in self.events)

    def bytes(self, kind):
        """The bytes of the events of a kind."""
        return sum(event[2] for event in self.events if event[0] == kind)

    kernels = property(lambda self: self.count("kernel"))
    to_host = property(lambda self: self.count("to host"))
    to_device = property(lambda self: self.count("to device"))

    def __str__(self):
        def counted(kind, one, many):
            n = self.count(kind)
            return f"{n} {one if n == 1 else many}"

        return ", ".join(
            [counted("kernel", "kernel", "kernels")]
            + [
                counted(kind, "copy", "copies") + f" {kind.replace('to', 'to the')} ({self.bytes(kind):,} bytes)"
                for kind in ("to host", "to device")
            ]
        )

    __repr__ = __str__


class Stream:
    """A host that launches, and a device that works off what was launched, in order. A model, in seconds."""

    def __init__(self):
        self.host = 0.0  # the host's time
        self.done = 0.0  # when the device will have finished what it was given

    def launch(self, seconds):
        """Give the device work and go on without waiting."""
        self.host += LAUNCH
        self.done = max(self.done, self.host) + seconds

    def copy(self, nbytes):
        """Copy between host and device: wait for the work given so far, then for the bus."""
        self.synchronize()
        self.host += COPY_LATENCY + nbytes / BUS_BANDWIDTH
        self.done = self.host

    def synchronize(self):
        """Wait until the device has finished."""
        self.host = max(self.host, self.done)

    def clock(self):
        """The host's time, in seconds."""
        return self.host


stream = Stream()
_ledgers = []


@contextlib.contextmanager
def watch():
    """A :class:`Ledger` of what the practice GPU does inside the ``with`` block."""
    ledger = Ledger()
    _ledgers.append(ledger)
    try:
        yield ledger
    finally:
        _ledgers.remove(ledger)


def note(kind, name, nbytes):
    """Write one event into every open ledger and let the model's time pass."""
    for ledger in _ledgers:
        ledger.events.append((kind, name, int(nbytes)))
    if kind == "kernel":
        stream.launch(nbytes / MEMORY_BANDWIDTH)
    else:
        stream.copy(nbytes)
