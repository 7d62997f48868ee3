"""Shipped for plug-ins and tests: the contract of every room, and builders of its frames."""
