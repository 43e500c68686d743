"""The loop of a stage, one module for each form that the user's code can have."""
