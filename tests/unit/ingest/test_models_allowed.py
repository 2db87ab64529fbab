"""Which models a sender may access."""

from __future__ import annotations

import pytest

from sentryml_common.http.problems import Problem
from sentryml_ingest.http.auth import check_models
from tests.unit.common.keys import api_key


def test_models_outside_the_patterns_are_403_and_named() -> None:
    key = api_key(models=["flights-*", "fraud"])
    check_models(key, ["flights-delay", "fraud"])
    with pytest.raises(Problem) as refused:
        check_models(key, ["churn", "flights-delay", "fraud-v2"])
    assert (refused.value.status, refused.value.kind) == (403, "forbidden")
    assert refused.value.detail == "this API key may not write events of churn, fraud-v2"
    assert refused.value.extra == {"models": ["churn", "fraud-v2"]}


def test_a_long_list_of_refused_models_is_cut() -> None:
    with pytest.raises(Problem) as refused:
        check_models(api_key(models=["flights-*"]), [f"m{number:03}" for number in range(500)])
    assert refused.value.detail.count("m0") == 10
    assert len(refused.value.extra["models"]) == 100
