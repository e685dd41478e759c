"""How the warehouse is doing, and who hears about it.

- `status` freshness and outcomes, from the warehouse alone
- `notifications` the end of a run: `_metrics` (`--metrics`) and `failure_hook` (`--on-failure`)
- `logs` standard error, as text or JSON; `doctor` assumptions about the API, tested against a real account
"""

__all__ = ["doctor", "failure_hook", "logs", "notifications", "status"]
