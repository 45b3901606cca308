"""What the operator must mend before telemetry can start."""


class TelemetryFault(Exception):
    """The state folder cannot hold metrics or events; the message says why and what to do."""
