from __future__ import annotations

import json

import pytest

from tests.evaluation.functional.golden import CASES, PATH, case
from xemap.evaluation import selo_metrics


@pytest.mark.parametrize('name', CASES)
def test_values_of_the_independent_program(name):
    gray, polygons = case(name)
    for protocol, expected in json.loads(PATH.read_text())[name].items():
        scores = selo_metrics(gray, polygons, protocol)
        assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-9), protocol
