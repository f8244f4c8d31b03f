"""Measurements, side by side with openleadr and with the floor of the stack: `python -m bench [part …]`."""
