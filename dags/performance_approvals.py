"""
### Approval requests of the performance protocol

Each run of this DAG is one request: a step of a protocol run asks people to decide. You do not trigger it by hand.

* **Approve**: mark the task `approve` of your role **success** (grid, tick menu, *Success*), or answer its form under
  *Required Actions*. What you decide on, with the digests of the evidence, is in the form's text.
* **Reject**: mark it **failed**, or choose *Reject*. The protocol run fails and says who rejected, and why.
* **A gate that did not pass**: choose *Retry*, *Waiver* or *Halt*, or mark the task success with a note that begins with
  `retry`, `waiver:` (in the form that the question shows) or `halt`.
* **A change that was implemented**: put its reference (commit, pull request, ticket, build) into the note.

Only people who hold the role can decide, nobody decides on a run that they triggered or a change that they own, and one person
does not answer for two roles. An answer that does not count is refused with its reason in the protocol run's log, and the
question is asked again in a new run here.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from perfproof_airflow.operators.approve import ApproveOperator, publish_request


@dag(
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    # Requests wait for days, and each is a run; a cycle may ask three at once.
    max_active_runs=4000,
    max_active_tasks=4000,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=["perfproof", "approvals"],
    doc_md=__doc__,
)
def performance_approvals() -> None:
    ApproveOperator.partial(task_id="approve", map_index_template="{{ task.role_label }}").expand_kwargs(publish_request())


performance_approvals()
