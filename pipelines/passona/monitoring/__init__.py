"""How the warehouse is doing, and who is told.

- `status` freshness and outcomes, from the warehouse alone; `overview` the API's list beside it
- `notifications` the end of a run: `_metrics` (Prometheus) and `failure_hook` (`--on-failure`)
- `logs` standard error, as text or JSON; `doctor` assumptions about the API, tested against a real account
"""

__all__ = [
    "doctor",
    "failure_hook",
    "logs",
    "notifications",
    "overview",
    "status",
]
