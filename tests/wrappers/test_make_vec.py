"""Vector envs by name and by factory, and invalid arguments."""

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
        with pytest.raises(ConfigurationError, match=r"num_envs .*3.* 2"):
            make_vec([Scripted, Scripted], 3)

    def test_batch_env(self):
        batch = LoopEnv([Scripted] * 2)
        assert make_vec(batch, 2).batch_env is batch
        with pytest.raises(ConfigurationError, match=r"\['env_ids'\]"):
            make_vec(batch, env_ids=["a", "b"])
        with pytest.raises(ConfigurationError, match=r"num_envs .*3.* 2"):
            make_vec(batch, 3)
        with pytest.raises(ConfigurationError, match=r"\['validate'\].*BatchEnv"):
            make_vec(batch, validate=True)

    def test_a_function_for_the_hierarchy_that_forgets_to_return_it(self):
        with pytest.raises(HierarchyError, match=r"Hierarchy.*None"):
            make_vec(Scripted, hierarchy=lambda ids: None)

    @pytest.mark.parametrize(
        ("env", "message"),
        [
            ("no_such_module", "'no_such_module'"),
            ("mpe2.no_such_env_v1", r"mpe2\.no_such_env_v1"),
            ("mpe2", "'mpe2'.*'parallel_env'"),
            ("mpe2.simple_spread_v3:nothing", "'nothing'"),
            (3, "env .* 3"),
        ],
    )
    def test_bad_names(self, env, message):
        with pytest.raises(ConfigurationError, match=message):
            make_vec(env)

    @pytest.mark.parametrize("number", [0, -1, 2.0, "2"])
    def test_bad_numbers(self, number):
        with pytest.raises(ConfigurationError, match=rf"num_envs .*{number!r}"):
            make_vec(Scripted, number)

    def test_duplicate_ids(self):
        with pytest.raises(ConfigurationError, match=r"env_ids.*a"):
            make_vec(Scripted, 2, env_ids=["a", "a"])

    def test_factory_that_raises(self):
        with pytest.raises(EnvCreationError, match=r"env_0: .*TypeError"):
            make_vec("mpe2.simple_spread_v3", env_kwargs={"colour": 3})

    def test_validate_is_passed_on(self):
        assert make_vec(Scripted, validate=True).batch_env.validate
