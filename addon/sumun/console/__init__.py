"""The administrator's side: metrics, health and readiness over HTTP."""
