"""pipeflow."""
