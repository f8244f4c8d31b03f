"""The VTN: the server that publishes events, asks for reports, and keeps what VENs say."""
