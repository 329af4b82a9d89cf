"""Names of groups."""

from gymnasium.spaces import Box, Discrete

from heron import Hierarchy, make_vec

from ..wrappers.small_envs import Scripted


def test_a_coordinator_may_be_called_like_a_group_of_the_environment():
    with make_vec(Scripted, 1, lambda ids: Hierarchy.star(ids, "agent", command_space=Discrete(2))) as venv:
        assert [group.agent_ids for group in venv.groups.values()] == [("agent",), ("agent_0", "agent_1")]
        assert set(venv.reset()) == set(venv.groups)


class ThreeKinds(Scripted):
    """Agents alike in name, but not in what they observe."""

    def __init__(self, ids):
        super().__init__(dict.fromkeys(ids, Scripted().lives["agent_0"]))

    def observation_space(self, agent):
        return Box(-1, 1, (4 + self.possible_agents.index(agent),))


def test_no_agent_is_lost_where_names_are_alike():
    for ids in (["u_1_2", "u_0", "u_1"], ["agent_0", "agent", "agent_0_0"], ["a", "a_1", "a_2"]):
        with make_vec(lambda ids=ids: ThreeKinds(ids), 1) as venv:
            assert sorted(agent for group in venv.groups.values() for agent in group.agent_ids) == sorted(ids)
            assert len(venv.groups) == len(ids)
