"""How much may be sent: plain arithmetic over what was sent and what was taken."""

from __future__ import annotations


def room(
    *,
    in_flight: int,
    capacity: int,
    bytes_in_flight: int = 0,
    capacity_bytes: int,
    nbytes: int = 0,
) -> int:
    """Credits that may be sent now; 0 when full.

    When nothing is in flight something is always allowed, however large: else an item above the
    byte bound could never cross.

    Args:
        in_flight: Credits sent and not yet taken; never above what was granted in good order, but a
            batch may overshoot.
        capacity: Credits that may be in flight, at least 1.
        bytes_in_flight: Bytes of shared buffers among them.
        capacity_bytes: Bytes that may be in flight.
        nbytes: Bytes of shared buffers of the next packet, where they are known.
    """
    if in_flight <= 0:
        return capacity
    if bytes_in_flight >= capacity_bytes or bytes_in_flight + nbytes > capacity_bytes:
        return 0
    return max(0, capacity - in_flight)
