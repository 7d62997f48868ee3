"""Real-time social listening and community intelligence, self-hosted."""

__version__ = "0.1.0"
