"""The stages of pipeline.yaml: plain functions from one order to the next."""

from typing import Any

#: What one unit of a currency is worth, in euros.
RATES = {"EUR": 1.0, "USD": 0.9, "GBP": 1.2}


def clean(row: dict[str, str]) -> dict[str, Any]:
    """Give an order its types; one that makes no sense is an error, and so a dead letter."""
    currency = row["currency"].strip().upper()
    if currency not in RATES:
        raise ValueError(f"unknown currency {currency!r}")
    return {
        "order": int(row["order"]),
        "customer": row["customer"].strip(),
        "amount": float(row["amount"]),
        "currency": currency,
    }


def euros(order: dict[str, Any]) -> dict[str, Any]:
    """Add what an order is worth in euros."""
    return {**order, "euros": round(order["amount"] * RATES[order["currency"]], 2)}
