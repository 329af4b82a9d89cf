import pickle
from copy import deepcopy

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from heron.agents import Hierarchy
from heron.errors import HierarchyError
from heron.messaging import ChannelManager

THREE = {"system": ["north", "south"], "north": ["a", "b"], "south": ["c"]}
GOAL = Box(-1, 1, (2,), np.float32)


class TestShape:
    def test_star(self):
        star = Hierarchy.star((f"a{i}" for i in range(3)), "boss", period=4, command_space=GOAL)

        assert star.subordinates == {"boss": ("a0", "a1", "a2")}
        assert star.period("boss") == 4
        assert star.command_space("a1") == GOAL

    def test_three_levels(self):
        tree = Hierarchy(THREE)

        assert tree.levels == {
            "coordinator_1": ("system",),
            "coordinator_2": ("north", "south"),
            "field": ("a", "b", "c"),
        }
        assert tree.roots == ("system",)
        assert tree.coordinators == ("system", "north", "south")
        assert tree.field_agents == ("a", "b", "c")
        assert tree.agents == ("system", "north", "south", "a", "b", "c")
        assert tree.upstream == {"north": "system", "south": "system", "a": "north", "b": "north", "c": "south"}
        assert tree.edges == (
            ("system", "north"),
            ("system", "south"),
            ("north", "a"),
            ("north", "b"),
            ("south", "c"),
        )

    @pytest.mark.parametrize("depth", [1, 2, 7, 40])
    def test_any_depth(self, depth):
        chain = Hierarchy({f"n{i}": [f"n{i + 1}"] for i in range(depth)})

        assert chain.field_agents == (f"n{depth}",)
        assert chain.coordinators == tuple(f"n{i}" for i in range(depth))
        names = ["coordinator"] if depth == 1 else [f"coordinator_{i + 1}" for i in range(depth)]
        assert list(chain.levels) == [*names, "field"]

    def test_order_of_the_mapping_does_not_decide_the_levels(self):
        assert Hierarchy(dict(reversed(THREE.items()))).levels["coordinator_1"] == ("system",)

    def test_leaves_of_different_depth_are_all_field_agents(self):
        tree = Hierarchy({"top": ["a", "mid"], "mid": ["b"]})

        assert tree.field_agents == ("a", "b")
        assert tree.levels["coordinator_2"] == ("mid",)

    def test_teams_and_free_agents(self):
        tree = Hierarchy({"red": ["a"], "blue": ["b"], "free": []})

        assert tree.roots == ("red", "blue", "free")
        assert tree.coordinators == ("red", "blue")
        assert sorted(tree.field_agents) == ["a", "b", "free"]
        assert tree.levels["coordinator"] == ("red", "blue")

    def test_without_coordinators(self):
        flat = Hierarchy({"a": [], "b": []})

        assert flat.levels == {"field": ("a", "b")}
        assert flat.edges == ()
        assert flat.channels("env_0") == ()

    def test_channels_are_two_for_each_edge(self):
        tree = Hierarchy({"top": ["a", "b"]})

        assert tree.channels("env_3") == (
            ChannelManager.action_channel("top", "a", "env_3"),
            ChannelManager.info_channel("a", "top", "env_3"),
            ChannelManager.action_channel("top", "b", "env_3"),
            ChannelManager.info_channel("b", "top", "env_3"),
        )

    def test_drawing(self):
        assert str(Hierarchy(THREE, period={"system": 10, "north": 5})) == (
            "system  (every 10 steps)\n├── north  (every 5 steps)\n│   ├── a\n│   └── b\n└── south\n    └── c"
        )

    def test_mappings_cannot_be_changed_and_the_given_one_is_not_kept(self):
        given = {"top": ["a"]}
        tree = Hierarchy(given)
        given["top"].append("b")

        assert tree.field_agents == ("a",)
        with pytest.raises(TypeError):
            tree.subordinates["x"] = ("y",)


class TestPeriods:
    def test_one_for_all_coordinators(self):
        tree = Hierarchy(THREE, period=3)
        assert [tree.period(agent) for agent in tree.agents] == [3, 3, 3, 1, 1, 1]

    def test_by_coordinator(self):
        tree = Hierarchy(THREE, period={"system": np.int64(6), "south": 2})
        assert [tree.period(agent) for agent in tree.agents] == [6, 1, 2, 1, 1, 1]

    @pytest.mark.parametrize("bad", [0, -1, 1.0, 2.5, True, "2", None, float("nan")])
    def test_that_is_no_positive_integer(self, bad):
        with pytest.raises(HierarchyError, match="period of 'system'"):
            Hierarchy(THREE, period=bad)
        with pytest.raises(HierarchyError, match="period of 'north'"):
            Hierarchy(THREE, period={"north": bad})

    @pytest.mark.parametrize("agent", ["a", "nobody"])
    def test_of_no_coordinator(self, agent):
        with pytest.raises(HierarchyError, match=f"period .*'{agent}'"):
            Hierarchy(THREE, period={agent: 2})


class TestCommandSpaces:
    def test_none(self):
        assert Hierarchy(THREE).command_space("a") is None

    def test_one_for_all_subordinates(self):
        tree = Hierarchy(THREE, command_space=GOAL)
        assert [tree.command_space(agent) for agent in tree.agents] == [None, *[GOAL] * 5]

    def test_by_subordinate_or_else_by_its_upstream(self):
        tree = Hierarchy(THREE, command_space={"system": GOAL, "north": Discrete(3), "b": Discrete(4), "c": GOAL})

        assert tree.command_space("system") is None
        # "north" is itself a subordinate: its own entry goes before its upstream's.
        assert tree.command_space("north") == Discrete(3)
        assert tree.command_space("south") == GOAL
        assert tree.command_space("a") == Discrete(3)
        assert tree.command_space("b") == Discrete(4)
        assert tree.command_space("c") == GOAL

    @pytest.mark.parametrize(
        "bad",
        [
            Box(0, 1, ()),
            Box(0, 1, (2, 2)),
            Box(0, 5, (2,), np.int64),
            MultiDiscrete([2, 2]),
            Dict(x=Discrete(2)),
            3,
            "Discrete(2)",
        ],
    )
    def test_that_cannot_be_sent(self, bad):
        with pytest.raises(HierarchyError, match="command_space of 'north'"):
            Hierarchy(THREE, command_space=bad)

    def test_missing_for_some(self):
        with pytest.raises(HierarchyError, match=r"command_space .*'c'"):
            Hierarchy(THREE, command_space={"system": GOAL, "north": GOAL, "a": GOAL, "b": GOAL})

    def test_of_nobody(self):
        with pytest.raises(HierarchyError, match=r"command_space .*'nobody'"):
            Hierarchy(THREE, command_space={"system": GOAL, "nobody": GOAL})


class TestNoTree:
    def test_two_parents(self):
        with pytest.raises(HierarchyError, match=r"'x'.*'a'.*'b'"):
            Hierarchy({"a": ["x"], "b": ["x"]})

    def test_twice_below_one(self):
        with pytest.raises(HierarchyError, match=r"'x'.*'a'"):
            Hierarchy({"a": ["x", "x"]})

    @pytest.mark.parametrize(
        ("tree", "cycle"),
        [
            ({"a": ["a"]}, "'a'"),
            ({"a": ["b"], "b": ["a"]}, "'a', 'b'"),
            ({"top": ["x"], "a": ["b", "y"], "b": ["c"], "c": ["a"]}, "'a', 'b', 'c'"),
        ],
    )
    def test_cycle(self, tree, cycle):
        with pytest.raises(HierarchyError, match=f"\\[{cycle}\\]"):
            Hierarchy(tree)

    @pytest.mark.parametrize("bad", [{}, [], None, "a", [("a", ["b"])]])
    def test_no_mapping(self, bad):
        with pytest.raises(HierarchyError):
            Hierarchy(bad)

    @pytest.mark.parametrize("bad", ["abc", 3, None])
    def test_no_list(self, bad):
        with pytest.raises(HierarchyError, match="subordinates of 'a'"):
            Hierarchy({"a": bad})

    @pytest.mark.parametrize("bad", ["", 3, None, "broadcast"])
    def test_bad_ids(self, bad):
        with pytest.raises(HierarchyError, match="agent_id"):
            Hierarchy({"a": [bad]})
        with pytest.raises(HierarchyError, match="agent_id"):
            Hierarchy({bad: ["a"]})

    def test_unknown_agent_is_named(self):
        tree = Hierarchy(THREE)
        for ask in (tree.period, tree.command_space):
            with pytest.raises(HierarchyError, match="'nobody'"):
                ask("nobody")


class TestMatchingAnEnvironment:
    def test_matches(self):
        Hierarchy(THREE).check_matches(["c", "b", "a"])

    def test_leaf_that_the_environment_lacks(self):
        with pytest.raises(HierarchyError, match=r"\['c'\]"):
            Hierarchy(THREE).check_matches(["a", "b"])

    def test_agent_that_the_hierarchy_misses(self):
        with pytest.raises(HierarchyError, match=r"\['d'\].*'d': \[\]"):
            Hierarchy(THREE).check_matches(["a", "b", "c", "d"])

    def test_coordinator_that_acts_in_the_environment(self):
        with pytest.raises(HierarchyError, match=r"\['north'\]"):
            Hierarchy(THREE).check_matches(["a", "b", "c", "north"])

    def test_coordinator_without_subordinates_is_a_leaf(self):
        with pytest.raises(HierarchyError, match=r"\['north'\]"):
            Hierarchy({"north": [], "top": ["a"]}).check_matches(["a"])


@pytest.mark.parametrize("copied", [deepcopy, lambda tree: pickle.loads(pickle.dumps(tree))])
def test_copies_are_alike_and_as_closed_to_changes(copied):
    tree = Hierarchy({"top": ["mid", "z"], "mid": ["a"], "lone": []}, period={"top": 3}, command_space=Discrete(2))
    copy = copied(tree)
    assert (copy.edges, copy.levels, copy.roots) == (tree.edges, tree.levels, tree.roots)
    assert (copy.period("top"), copy.command_space("a")) == (3, Discrete(2))
    with pytest.raises(TypeError):
        copy.subordinates["top"] = ()
