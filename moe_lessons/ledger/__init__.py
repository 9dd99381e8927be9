"""The ledger of the press's claims: `book` keeps what lessons settle, `closing` gives every claim its verdict."""

from moe_lessons.ledger.book import Claim, Claims, Ledger, LedgerEntry, Line, claims, settle, show

__all__ = ["Claim", "Claims", "Ledger", "LedgerEntry", "Line", "claims", "settle", "show"]
