"""The VEN without code: `ven.yaml` says what to do with signals, when to opt out, and what to report."""
