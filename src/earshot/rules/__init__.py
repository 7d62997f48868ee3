"""The rule language: one meaning on live posts, stored posts and files (grammar: `grammar.py`)."""
