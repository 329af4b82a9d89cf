"""Actions in Dict and Tuple spaces: in hierarchies, in worker processes, from policies, and errors in them."""

from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from heron import Hierarchy, make_vec
from heron.batch.action_records import as_actions
from heron.batch.array_tree import map_arrays
from heron.errors import ConfigurationError, InvalidActionError, PolicyError
from heron.training import evaluate, random_policies
from heron.wrappers import GymEnv, GymVectorEnv, HierarchyAECEnv, HierarchyParallelEnv, LoopEnv, RandomPolicy
from heron.wrappers.workers.trial import measure_step

from ..wrappers.same import assert_same
from ..wrappers.single_envs import RECORDS, Sampled
from ..wrappers.small_envs import PAIR, Handy

ARM = {"grip": np.array([0, 1]), "arm": np.zeros((2, 2), np.float32)}
GOAL = Box(-1, 1, (2,), np.float32)


def handy(num_envs=1, learn="arm", horizon=6, **kwargs):
    """Agents with Dict and Tuple actions, under a coordinator."""
    venv = make_vec(
        Handy,
        num_envs,
        lambda ids: Hierarchy.star(ids, period=2, command_space=GOAL),
        env_kwargs={"horizon": horizon},
        **kwargs,
    )
    policies = {
        "coordinator": np.zeros(8, np.float32),
        "arm": RandomPolicy(venv.groups["arm"].action_space, 3),
        "pair": lambda seen: (np.ones((len(seen), 3), int), {"x": seen[:, 2], "y": np.full((len(seen), 2), [5, 0])}),
        "wheel": 2,
    }
    return GymVectorEnv(venv, learn, {name: policy for name, policy in policies.items() if name != learn})


def test_others_act_in_parts_beside_a_learning_coordinator():
    view = handy(learn="coordinator")
    view.reset(seed=0)
    _, rewards, *_ = view.step(np.zeros((1, 8), np.float32))
    (env,) = view.venv.batch_env.envs
    for received in env.received:
        for agent, action in received.items():
            assert Handy.spaces[agent].contains(map_arrays(np.asarray, action))
        assert received["pair_0"][0].tolist() == [1, 1, 1]
        assert received["wheel_0"] == 2
    assert len({actions["pair_0"][1]["x"] for actions in env.received}) == len(env.received) == 2
    assert rewards[0] == 1111 * (1 + 2)


def test_worker_processes_give_the_same_to_the_bit():
    views = [handy(3), handy(3, backend="process", num_workers=1, start_method="fork")]
    for view in views:
        view.action_space.seed(1)
    assert_same(*(view.reset(seed=4) for view in views))
    for _ in range(9):
        assert_same(*(view.step(view.action_space.sample()) for view in views))
    for view in views:
        view.close()


def broken(batch, change):
    """Return a copy of a batch of actions with a change applied."""
    broken = deepcopy(batch)
    return change(broken) or broken


def without_grip(batch):
    del batch["grip"]


BAD = {
    "none": (
        lambda batch: [None],
        r"env_0: .*\['arm_0', 'arm_1'\] .*\['grip', 'arm'\]",
    ),
    "missing": (without_grip, r"\['grip', 'arm'\].*\['arm'\]"),
    "too many": (lambda batch: batch.update(leg=1), r"\['grip', 'arm', 'leg'\]"),
    "too few": (lambda batch: batch.update(grip=[0]), r"env_0: .*'arm_1'\] \['grip'\].* 2 .*\(1,\)"),
    "shape": (lambda batch: batch.update(arm=np.zeros((2, 3))), r"\['arm'\] .*\(1, 2, 2\).*\(1, 2, 3\)"),
    "no number": (lambda batch: batch.update(grip=[0, None]), r"\['grip'\] .*int64.*object"),
    "ragged": (lambda batch: batch.update(arm=[[0], [0, 1]]), r"\['arm'\].*\[\[0\], \[0, 1\]\]"),
    "a fraction": (lambda batch: batch.update(grip=[0, 0.5]), r"\['grip'\] .*int64.*float64"),
    "outside": (lambda batch: batch.update(grip=[0, 2]), r"env_0: .*'arm_1' \['grip'\] .*Discrete.* 2"),
    "NaN": (lambda batch: batch["arm"].fill(np.nan), r"env_0: .*'arm_0' \['arm'\] .*Box.*\[nan nan\]"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_a_bad_part_is_named_and_nothing_is_done(change, message):
    view, quiet = handy(), handy()
    for one in (view, quiet):
        one.reset(seed=0)
    with pytest.raises(InvalidActionError, match=message):
        view.step(broken(ARM, change))
    assert view.venv.steps.tolist() == [0]
    assert_same(view.step(ARM), quiet.step(ARM))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (None, r"env_0: .*'pair_0' .*None"),
        ((PAIR[0], {"x": 0.0}), r"env_0: .*'pair_0' \[1\] .*\['x', 'y'\]"),
        ((PAIR[0], {"x": 2.0, "y": [5, 0]}), r"env_0: .*'pair_0' \[1\]\['x'\] .*Box.* 2\.0"),
        ((PAIR[0], {"x": None, "y": [5, 0]}), r"env_0: .*'pair_0'\] \[1\]\['x'\] .*float64.*object"),
    ],
)
@pytest.mark.parametrize("view_of", [HierarchyAECEnv, HierarchyParallelEnv, GymEnv])
def test_a_bad_part_of_one_action(view_of, action, message):
    venv = make_vec(Handy, 1)
    arm = {"grip": 0, "arm": [0, 0.5]}
    view = GymEnv(venv, "pair", {"arm": arm, "wheel": 2}) if view_of is GymEnv else view_of(venv)
    view.reset(seed=0)

    def step(pair):
        if view_of is HierarchyParallelEnv:
            view.step({"arm_0": arm, "arm_1": arm, "pair_0": pair, "wheel_0": 2})
        else:
            view.step(pair)

    for _ in range(2) if view_of is HierarchyAECEnv else ():
        view.step(arm)
    with pytest.raises(InvalidActionError, match=message):
        step(action)
    assert venv.steps.tolist() == [0]
    step(PAIR)
    if view_of is HierarchyAECEnv:
        view.step(2)
    assert venv.steps.tolist() == [1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, r"'pair'.*None"),
        ((np.zeros((1, 3), int), {}), r"'pair'.*\[1\] .*\['x', 'y'\]"),
        ((np.zeros((1, 3), int), {"x": [2.0], "y": [[5, 0]]}), r"'pair_0' of env_0 .*\[1\]\['x'\] .*2\.0"),
        ((np.zeros((1, 3), int), {"x": [0.0], "y": [[5.5, 0]]}), r"\[1\]\['y'\] .*int64.*float64"),
        ((np.zeros((1, 3), int), {"x": [[0.0], []], "y": [[5, 0]]}), r"\[1\]\['x'\]"),
    ],
)
def test_a_bad_part_in_the_actions_of_a_policy(answer, message):
    view = GymVectorEnv(make_vec(Handy, 1), "arm", {"pair": lambda seen: answer, "wheel": 2})
    view.reset(seed=0)
    with pytest.raises(PolicyError, match=message):
        view.step(ARM)
    assert view.venv.steps.tolist() == [0]


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ((PAIR[0],), r"'pair': .* 2.* 1"),
        ((PAIR[0], {"x": 2.0, "y": [5, 0]}), r"'pair': .*\[1\]\['x'\] .*2\.0"),
        ((PAIR[0], {"x": 0.0, "y": [[5], []]}), r"'pair': .*\[\[5\], \[\]\]"),
    ],
)
def test_a_constant_with_a_bad_part(constant, message):
    with pytest.raises(ConfigurationError, match=message):
        GymVectorEnv(make_vec(Handy, 1), "arm", {"pair": constant, "wheel": 2})


def test_random_policies_of_parts_need_bounds_and_respect_masks():
    with pytest.raises(ConfigurationError, match=r"Box\(0\.0, inf"):
        RandomPolicy(Dict(a=Discrete(2), b=Tuple((Box(0, np.inf, (1,)),))))
    space = Dict(a=Discrete(3, start=4), b=Tuple((Discrete(5), Discrete(2))))
    masks = {"a": np.array([[0, 0, 1]] * 20), "b": (np.array([[0, 1, 0, 1, 0]] * 20), None)}
    drawn = RandomPolicy(space, 0)({"action_mask": masks, "x": np.zeros((20, 1))})
    assert set(drawn["a"].tolist()) == {6}
    assert set(drawn["b"][0].tolist()) == {1, 3}
    assert set(drawn["b"][1].tolist()) == {0, 1}


def test_the_vector_env_takes_trees_and_records():
    space = Handy.spaces["arm_0"]
    tree = {"grip": np.array([[0, 1]]), "arm": np.full((1, 2, 2), 0.5)}
    rest = {"pair": as_actions(Handy.spaces["pair_0"], PAIR, ())[None, None], "wheel": [[1]]}
    seen = []
    for arms in (tree, as_actions(space, tree, (1, 2))):
        with make_vec(Handy, 1) as venv:
            venv.reset(seed=0)
            venv.advance({"arm": arms, **rest})
            seen.append(venv.observe("arm").copy())
            assert "acts      Dict(grip: Discrete(3, start=-1), arm: Box of shape (2,)" in venv.describe()
    np.testing.assert_array_equal(*seen)
    assert seen[0][0, :, 3].tolist() == [1, 2]


def test_the_copies_of_an_async_vector_env():
    one = partial(Sampled, action_space=RECORDS["nested"], horizon=3)
    theirs = SyncVectorEnv([one] * 2)
    ours = GymVectorEnv(make_vec(AsyncVectorEnv([one] * 2)))
    ours.action_space.seed(0)
    np.testing.assert_array_equal(*(view.reset(seed=3)[0] for view in (theirs, ours)))
    for _ in range(6):
        actions = ours.action_space.sample()
        for mine, other in zip(ours.step(actions)[:4], theirs.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(mine, other)
    ours.close()


def test_random_play_is_evaluated_and_timed():
    with handy().venv as venv:
        assert evaluate(venv, random_policies(venv, seed=1), episodes=2, seed=5).lengths.tolist() == [6, 6]
        received = venv.batch_env.envs[0].received
        assert all(Handy.spaces["arm_0"].contains(actions["arm_0"]) for actions in received)
        assert len({actions["arm_0"]["arm"].tobytes() for actions in received}) == len(received) >= 12
    env = LoopEnv([Handy])
    env.reset(seeds=[0])
    assert measure_step(env)[0] > 0
    env.close()
