import numpy as np
import pytest

from heron.errors import ContractError, HeronError
from heron.testing import Finding, Findings, Where
from heron.testing.comparison import difference, frozen
from heron.testing.findings import raise_if_broken


def test_a_finding_reads_as_a_sentence():
    where = Where("env_1", "a", seed=3, step=2)
    finding = Finding("rewards", "a reward is not finite", "got inf", where, "look for a division by zero", 4)

    assert str(finding) == (
        "rewards: a reward is not finite: got inf (env_1, agent 'a', seed 3, step 2) [4 times]; "
        "look for a division by zero"
    )
    assert str(Where(step=0)) == "at the reset"


def test_repeated_findings_keep_the_first_place():
    findings = Findings()
    findings.extend(Finding("rewards", "odd", where=Where(step=step)) for step in (2, 5, 9))

    (finding,) = findings.all
    assert (finding.where.step, finding.times) == (2, 3)


def test_remarks_break_nothing():
    remark, error = Finding("a", "odd", is_error=False), Finding("b", "wrong")

    raise_if_broken("it", [remark])
    with pytest.raises(ContractError, match="breaks 1 of its promises:\n- b: wrong") as caught:
        raise_if_broken("it", [remark, error])
    assert caught.value.findings == (remark, error)
    assert isinstance(caught.value, HeronError)


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ({"x": [1, 2]}, {"x": [1, 3]}, "['x'][1]: 2 and 3"),
        ({"x": 1}, {"y": 1}, ": keys ['x'] and ['y']"),
        ((1, 2), (1,), ": 2 and 1 entries"),
        (np.zeros((2, 2)), np.eye(2), "[0, 0]: 0.0 and 1.0"),
        (np.zeros(2), np.zeros(2, np.float32), "float64 (2,) and float32 (2,)"),
        (frozen(np.zeros(1000)), frozen(np.ones(1000)), "arrays (1000,) float64 with different values"),
        (1.0, float("nan"), "1.0 and nan"),
    ],
)
def test_differences_are_located(first, second, how):
    assert difference(first, second) == how


@pytest.mark.parametrize("value", [np.array([np.nan]), {"x": (float("nan"), None)}, np.zeros(1000), [object], "text"])
def test_a_copy_is_the_same(value):
    assert difference(frozen(value), frozen(value)) is None
