"""Training of a hierarchy with RLlib's PPO, one module per level."""

import numpy as np
import pytest
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.tune.registry import register_env

from heron.wrappers.rllib import HierarchyMultiAgentEnv, one_module_per

from ..hierarchies import spread, three_levels

SPREAD_TURNS = 11 + 4
"""Environment steps of an episode of ``spread``, and decisions of its coordinator: RLlib counts turns."""


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # otherwise Ray writes a token into the user's home
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def algorithm(make, by, num_env_runners=0):
    register_env("hierarchy", lambda _: HierarchyMultiAgentEnv(make()))
    with make() as venv:
        modules = one_module_per(by, venv)
    return (
        PPOConfig()
        .environment("hierarchy")
        .env_runners(num_env_runners=num_env_runners)
        .multi_agent(**modules)
        .training(train_batch_size_per_learner=120, minibatch_size=40, num_epochs=1)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[16]))
        .build_algo()
    )


def weights(algorithm, modules):
    """Return module id -> all its parameters."""
    return {
        name: {key: value.detach().numpy().copy() for key, value in algorithm.get_module(name).named_parameters()}
        for name in modules
    }


@pytest.mark.parametrize(
    ("make", "by", "modules", "num_env_runners"),
    [
        (spread, "level", {"coordinator", "field"}, 1),
        (three_levels, "group", {"system", "hunters", "prey", "adversary", "agent"}, 0),
    ],
)
def test_every_module_learns(cluster, make, by, modules, num_env_runners):
    algo = algorithm(make, by, num_env_runners)
    try:
        before = weights(algo, modules)
        results = [algo.train() for _ in range(2)]
        after = weights(algo, modules)
    finally:
        algo.stop()

    assert set(results[-1]["learners"]) - {"__all_modules__"} == modules
    for name in modules:
        changed = [key for key in before[name] if not np.array_equal(before[name][key], after[name][key])]
        assert changed == list(before[name])
        assert all(np.isfinite(value).all() for value in after[name].values())
    for result in results:
        runners = result["env_runners"]
        assert runners["num_episodes"] > 3
        assert set(runners["module_episode_returns_mean"]) == modules
        if make is spread:
            assert runners["episode_len_mean"] == SPREAD_TURNS
            # The coordinator's reward is the sum of all agents' rewards.
            by_module = runners["module_episode_returns_mean"]
            assert by_module["field"] == pytest.approx(by_module["coordinator"], rel=1e-4)
