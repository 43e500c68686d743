"""State that stages share, among processes: its memory, its locks, and the manager process."""
