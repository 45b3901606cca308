"""What the operator must mend before telemetry can start."""

from sumun.model.fault import OperatorFault


class TelemetryFault(OperatorFault):
    """The state folder cannot hold metrics or events; the message says why and what to do."""
