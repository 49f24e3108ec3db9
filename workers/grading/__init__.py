"""Grades answers against reference answers in processes that can be killed."""

from workers.grading.grader import GRADER_VERSION, Grader, GraderSettings, GraderStats
from workers.grading.pool import GradingBroken

__all__ = ["GRADER_VERSION", "Grader", "GraderSettings", "GraderStats", "GradingBroken"]
