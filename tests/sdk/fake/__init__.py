"""The two providers that upstream.py plays."""
