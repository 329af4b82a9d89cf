"""Common base of the views' state machines, which make the same calls to a view and to its plain model."""

from copy import deepcopy

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from .naive_views import row_of, same

flags = st.lists(st.booleans(), min_size=9, max_size=9)
seeds = st.integers(0, 99)
options = st.none() | st.just({}) | st.builds(lambda wind: {"wind": wind, "take_notes": [1]}, st.integers(0, 9))


class Interleaving(RuleBasedStateMachine):
    """A view and its model. `log` is the environments' attribute with the calls they received."""

    log = ("reset_calls", "received")

    def show(self, view, model):
        """Begin with this view, and with the copies of the model."""
        self.view, self.model, self.copies = view, model, model.copies
        self.learners = self.copies[0].learners
        self.size = len(self.learners)
        self.slots = range(self.size * len(self.copies))
        self.envs = [getattr(copy.env, "env", copy.env) for copy in self.copies]
        self.told = []

    def by_slot(self, values):
        return [value for value in values for _ in range(self.size)]

    def by_copy(self, actions):
        """Return the actions of slots in the model's form."""
        given = iter(actions)
        return [{agent: next(given) for agent in copy.learners} for copy in self.copies]

    def slot(self, number):
        """Return the copy and the agent of a slot."""
        return self.copies[number // self.size], self.learners[number % self.size]

    def seed_of(self, data, count):
        return data.draw(st.none() | seeds | st.lists(st.none() | seeds, min_size=count, max_size=count))

    def remember(self, *results):
        """Keep a returned result, to check later that it has not changed."""
        self.told.append((list(results), deepcopy(list(results))))
        assert all(same(then, now) for then, now in self.told[-3:])

    def check_observations(self, observations):
        for slot, seen in enumerate(self.model.seen()):
            assert same(row_of(observations, slot), seen)

    @rule()
    def get_attr(self):
        assert list(self.view.get_attr("horizon")) == self.by_slot([env.horizon for env in self.envs])
        for name in self.log:
            assert same(self.view.get_attr(name), self.by_slot([getattr(env, name) for env in self.envs]))

    @rule(index=st.integers(0, 2), later=st.integers(0, 2))
    def fail_soon(self, index, later):
        """Make a copy raise in one of its next steps."""
        if index < len(self.copies):
            at = self.copies[index].steps + later
            self.envs[index].fail_at = at
            self.view.venv.batch_env.set_attr("fail_at", [at], [index])

    def teardown(self):
        if hasattr(self, "view"):
            self.get_attr()
            assert all(same(then, now) for then, now in self.told)
