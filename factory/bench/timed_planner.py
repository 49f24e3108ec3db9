"""The adaptive planner with a clock, for recipes that are measured."""

import time
from dataclasses import dataclass

from factory.bench.simulated_engine import COSTS
from factory.core.chain import Chain
from factory.core.chain_planner import ByValue
from factory.core.planners import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedByValue(ByValue):
    """`ByValue`, whose CPU time goes to the costs of its process."""

    def plan(self, chain: Chain) -> Plan:
        started_s = time.thread_time()
        plan = ByValue.plan(self, chain)
        COSTS.planning_s += time.thread_time() - started_s
        COSTS.num_plans += 1
        return plan
