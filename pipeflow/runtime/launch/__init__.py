"""From a plan to processes: the launch server, what workers inherit, and their first steps."""
