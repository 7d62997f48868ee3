"""What crosses the line between API and clients; no ORM or frame type ever does."""
