"""How the process of a worker waits, what wakes it, and how its waits show on the board."""
