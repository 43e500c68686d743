"""Mutations of the source that must turn the tests red; see ``catalogue``.

Run by hand, or nightly: ``python -m tests.mutations [WORD ...]``. pytest collects nothing here.
"""
