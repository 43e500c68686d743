"""What the supervisor sees of its workers, and what follows from it: mostly pure."""
