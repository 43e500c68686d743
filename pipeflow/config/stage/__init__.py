"""From one mapping under ``stages`` to a stage: a module for each of its keys that needs reading.

``read`` puts them together, ``surroundings`` is what it reads them against.
"""
