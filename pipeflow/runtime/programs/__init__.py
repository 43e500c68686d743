"""External programs as stages (``run:``): processes, pipes, and what is said in them."""
