"""The verbs that change objects of a cluster: how each is weighed, and how it is done."""

from __future__ import annotations

from dataclasses import dataclass

from devenv.control.kube import delete, drain, evict, nodes, rollout, scale
from devenv.control.kube.impact import Do, Survey


@dataclass(frozen=True, slots=True)
class Verb:
    """`survey` asks the cluster and changes nothing; `what` is the sentence where nobody asked yet.

    `takes_away`: it is to be confirmed even before it was surveyed.
    """

    survey: Survey
    do: Do
    what: str
    takes_away: bool = False


VERBS: dict[str, Verb] = {
    "restart": Verb(rollout.survey_restart, rollout.restart, "Replaces the pods of {targets}."),
    "undo": Verb(rollout.survey_undo, rollout.undo, "Brings back an earlier revision of {targets}.", True),
    "pause": Verb(rollout.survey_pause, rollout.pause, "Keeps back changes of {targets}."),
    "resume": Verb(rollout.survey_resume, rollout.resume, "Rolls out what was kept back of {targets}."),
    "scale": Verb(scale.survey_scale, scale.scale, "Changes the number of replicas of {targets}."),
    "delete": Verb(delete.survey_delete, delete.delete, "Deletes {targets} and all that belongs to it.", True),
    "evict": Verb(evict.survey_evict, evict.evict, "Evicts {targets} as far as disruption budgets allow.", True),
    "cordon": Verb(nodes.survey_cordon, nodes.cordon, "Closes {targets} to new pods."),
    "uncordon": Verb(nodes.survey_uncordon, nodes.uncordon, "Opens {targets} to new pods."),
    "drain": Verb(drain.survey_drain, drain.drain, "Evicts all pods of {targets}.", True),
}
