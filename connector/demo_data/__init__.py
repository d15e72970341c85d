"""Northwind's made-up meetings and bookings: pure, and the same for the same moment."""

from connector.demo_data.bookings import booked
from connector.demo_data.meetings import ending_now, history

__all__ = ["booked", "ending_now", "history"]
