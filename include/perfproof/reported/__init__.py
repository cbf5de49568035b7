"""What other systems report of a service, read from their answers: alerts, incidents and deployments as the intake report has them.

Everything here takes bytes and returns items; asking is the work of the hooks. What an answer does not say is None or UNKNOWN.
"""

from __future__ import annotations
