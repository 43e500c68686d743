"""From frames to calls and from results to frames: the two sides of a worker, and their wiring."""
