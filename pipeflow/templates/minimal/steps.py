"""The stages of pipeline.yaml: plain functions, which know nothing of pipelines."""


def square(number: int) -> int:
    """Give the square of a number."""
    return number * number
