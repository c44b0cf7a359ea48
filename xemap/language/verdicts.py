"""Three-valued conditions: one holds, does not, or the object lies in the band between, where people disagree."""

from __future__ import annotations

import numpy as np

NO, DOUBT, YES = 0, 1, 2
"""Verdicts, in arrays of int8. Their minimum is the three-valued "and": no wins over doubt, doubt over yes."""


def below(value: np.ndarray, yes: float, no: float) -> np.ndarray:
    """Yes up to ``yes``, no from ``no`` on, doubt between; for ``yes`` > ``no`` see :func:`above`."""
    return np.where(value <= yes, YES, np.where(value >= no, NO, DOUBT)).astype(np.int8)


def above(value: np.ndarray, yes: float, no: float) -> np.ndarray:
    """Yes from ``yes`` on, no up to ``no``, doubt between."""
    return np.where(value >= yes, YES, np.where(value <= no, NO, DOUBT)).astype(np.int8)


def unless(condition: np.ndarray, verdicts: np.ndarray) -> np.ndarray:
    """Verdicts, in which a yes is doubtful where the condition holds."""
    return np.where(condition & (verdicts == YES), DOUBT, verdicts).astype(np.int8)


def selected(verdicts: np.ndarray) -> np.ndarray:
    """Indices of the yeses; empty where there is any doubt."""
    return np.flatnonzero(verdicts == YES) if (verdicts != DOUBT).all() else np.empty(0, np.intp)


def leader(values: np.ndarray, largest: bool, lead: float) -> int | None:
    """Index of the largest (else smallest) value; None where it leads the next by less than ``lead``, or
    where there is nothing to compare with."""
    if len(values) < 2:
        return None
    order = np.argsort(-values if largest else values, kind='stable')
    return int(order[0]) if abs(values[order[0]] - values[order[1]]) >= lead else None
