"""Northwind's made-up meetings: pure, and the same for the same moment."""

from connector.demo_data.meetings import ending_now, history

__all__ = ["ending_now", "history"]
