"""External tasks of the person who owns an optimization: to deploy it, or to roll it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perfproof.errors import ApprovalError
from perfproof_airflow.sensors.questions import PLAN_FIELDS, ProtocolApproval, asked_roles

if TYPE_CHECKING:
    from perfproof.approvals import Asked, Note
    from perfproof_airflow.cycle import Cycle


class OwnerTask(ProtocolApproval):
    """An external task of the person who owns an optimization, asked anew in each round. Its note names the change."""

    def __init__(self, *, step: str, **kwargs: Any) -> None:
        super().__init__(step=step, fresh_each_round=True, **kwargs)

    def optimization_id(self, cycle: Cycle) -> str:
        """Which optimization of the plan this is about."""
        raise NotImplementedError

    def plan_item(self, cycle: Cycle) -> dict[str, Any]:
        """The plan's item. Raises ApprovalError if the plan has none of that id."""
        wanted = self.optimization_id(cycle)
        for item in cycle.document("optimization-plan.json")["tasks"]:
            if item["id"] == wanted:
                return dict(item)
        raise ApprovalError(434, where=self.step, what="not in the plan", got=wanted, fix="clear define_plan")

    def roles(self, cycle: Cycle) -> tuple[Asked, ...]:
        """The owner and the owner's deputies, unless the protocol file names roles for this step."""
        from perfproof.approvals import Asked
        from perfproof.config_checks import TASK_OWNER

        named = [role for role in cycle.protocol.approvals.steps[self.step] if role != TASK_OWNER]
        if named:
            return asked_roles(cycle, named)
        owner = cycle.protocol.person(str(self.plan_item(cycle)["owner"]))
        if owner is None:
            raise ApprovalError(435, where=self.step, what="the owner is no person of the protocol file", fix="correct the protocol file")
        # A deputy in whatever role: it is the owner's work that goes on, and saying that it is done approves nothing.
        deputies = tuple(d for role in cycle.protocol.roles.values() for d in role.deputies if d.stands_for == owner.id)
        return (Asked(role=TASK_OWNER, label="Owner of the task", people=(owner,), deputies=deputies),)

    def note(self) -> Note:
        """The change reference."""
        from perfproof.approvals import Note

        return Note.CHANGE_REFERENCE

    def forbidden(self, cycle: Cycle) -> tuple[str, ...]:
        """Nobody: saying that one's own task is done is not an approval of it."""
        return ()


class ImplementationApproval(OwnerTask):
    """Waits until the owner of an optimization says that it is deployed to the candidate, with the change reference."""

    template_fields: Sequence[str] = ("step", "evidence", "optimization")

    def __init__(self, *, optimization: str, **kwargs: Any) -> None:
        super().__init__(step="implementation", **kwargs)
        self.optimization = optimization

    def optimization_id(self, cycle: Cycle) -> str:
        """The mapped id."""
        return self.optimization

    def ask(self, cycle: Cycle) -> tuple[str, dict[str, Any]]:
        """What to deploy where."""
        item = self.plan_item(cycle)
        candidate = cycle.protocol.service(item["service"]).endpoints.candidate
        where = f"to {candidate.instance}" if candidate else "in place"
        question = f"Deploy {item['id']} ({item['title']}) {where}, then mark this task success with the change reference in its note."
        return question, {field: item[field] for field in PLAN_FIELDS}
