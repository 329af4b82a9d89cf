"""Vector envs by name, by factory, and by what cannot be made."""

import pytest

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, EnvCreationError, HierarchyError
from heron.wrappers import LoopEnv, make_vec

from ..vector.vec_envs import GOAL, A, B
from .small_envs import Scripted


class TestMakeVec:
    def test_name_arguments_and_function_for_the_hierarchy(self):
        venv = make_vec(
            "mpe2.simple_spread_v3",
            2,
            lambda ids: Hierarchy.star(ids, "boss", period=5, command_space=GOAL),
            env_kwargs={"N": 2, "max_cycles": 7},
        )
        assert venv.groups["agent"].agent_ids == (A, B)
        assert venv.groups["boss"].period == 5

    def test_module_and_function(self):
        venv = make_vec("mpe2.simple_tag_v3:parallel_env")
        assert list(venv.groups) == ["adversary", "agent"]
        assert venv.num_envs == 1

    def test_list_of_factories(self):
        venv = make_vec([Scripted, lambda: Scripted(horizon=1)])
        assert venv.num_envs == 2
        with pytest.raises(ConfigurationError, match="num_envs is 3, but the list has 2"):
            make_vec([Scripted, Scripted], 3)

    def test_batch_env(self):
        batch = LoopEnv([Scripted] * 2)
        assert make_vec(batch, 2).batch_env is batch
        with pytest.raises(ConfigurationError, match=r"\['env_ids'\] cannot be changed"):
            make_vec(batch, env_ids=["a", "b"])
        with pytest.raises(ConfigurationError, match="num_envs is 3, but the BatchEnv has 2"):
            make_vec(batch, 3)
        with pytest.raises(ConfigurationError, match=r"\['validate'\] cannot be changed on a BatchEnv"):
            make_vec(batch, validate=True)

    def test_a_function_for_the_hierarchy_that_forgets_to_return_it(self):
        with pytest.raises(HierarchyError, match="must return a Hierarchy, got None"):
            make_vec(Scripted, hierarchy=lambda ids: None)

    @pytest.mark.parametrize(
        ("env", "message"),
        [
            ("no_such_module", "No module named 'no_such_module'"),
            ("mpe2.no_such_env_v1", "is the package installed"),
            ("mpe2", "module 'mpe2' has no function 'parallel_env'"),
            ("mpe2.simple_spread_v3:nothing", "has no function 'nothing'"),
            (3, "env must be .* got 3"),
        ],
    )
    def test_bad_names(self, env, message):
        with pytest.raises(ConfigurationError, match=message):
            make_vec(env)

    @pytest.mark.parametrize("number", [0, -1, 2.0, "2"])
    def test_bad_numbers(self, number):
        with pytest.raises(ConfigurationError, match="num_envs must be a positive integer"):
            make_vec(Scripted, number)

    def test_duplicate_ids(self):
        with pytest.raises(ConfigurationError, match="duplicate env_ids"):
            make_vec(Scripted, 2, env_ids=["a", "a"])

    def test_factory_that_raises(self):
        with pytest.raises(EnvCreationError, match="env_0: the factory raised TypeError"):
            make_vec("mpe2.simple_spread_v3", env_kwargs={"colour": 3})

    def test_validate_is_passed_on(self):
        assert make_vec(Scripted, validate=True).batch_env.validate
