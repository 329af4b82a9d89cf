"""Every flaw is found, named and located; what is sound passes."""

import pytest
from pettingzoo.utils.conversions import parallel_to_aec

from heron.errors import ContractError, EnvCreationError
from heron.testing import (
    ENV_CHECKS,
    Limits,
    check_aec_env,
    check_gymnasium_env,
    check_parallel_env,
    inspect_env,
)
from heron.testing.findings import name_of

from . import flawed_envs as envs

LIMITS = Limits(episodes=2, max_steps=20)
NAMES = {name_of(check) for check in ENV_CHECKS}

FLAWS = {
    envs.Outside: ("observations", "an observation is outside its space", "[1] is 7.0, outside [-2.0, 2.0]", "b", 2),
    envs.WrongShape: ("observations", "an observation is outside its space", "of shape (1,), expected (2,)", "a", 0),
    envs.WrongDtype: ("observations", "an observation is outside its space", "float64, expected float32", "a", 0),
    envs.NotANumber: ("observations", "an observation is outside its space", "is nan, outside", "a", 0),
    envs.SeesNothing: ("observations", "an agent has no observation", "only ['a']", "b", 0),
    envs.InfiniteReward: ("rewards", "a reward is not finite", "got inf", "a", 1),
    envs.ArrayReward: ("rewards", "a reward is not a number", "ndarray", "a", 1),
    envs.NoReward: ("rewards", "an agent is missing in rewards", "only ['a']", "b", 1),
    envs.IntFlags: ("flags", "a flag is not a bool", "terminations has int 0", "a", 1),
    envs.Silent: ("flags", "an agent left without being terminated or truncated", "", "b", 3),
    envs.Lingering: ("flags", "an agent has ended, but is still in agents", "", "b", 3),
    envs.NoInfo: ("infos", "an info is not a dict", "got None", "a", 1),
    envs.FourParts: ("returns", "step must return (observations, rewards", "got 4 values", None, 1),
    envs.ListOfRewards: ("returns", "step must return its rewards as a dict by agent", "got [", None, 1),
    envs.Raising: ("returns", "step raised", "ZeroDivisionError: no wind", None, 3),
    envs.Reborn: ("agents", "an agent comes back after its end", "", "b", 5),
    envs.Unknown: ("agents", "an agent is not in possible_agents", "got ['c']", None, 0),
    envs.Numbered: ("agents", "an agent id is not a string", "got [0, 1]", None, 0),
    envs.NewSpaces: ("spaces", "observation_space returns a new object at each call", "", "a", 0),
    envs.GrowingSpaces: ("spaces", "the observation_space changes", "became", "a", 0),
    envs.Aliased: ("arrays", "a returned observation is changed later", "that of step 0 changed", "a", 1),
    envs.ChangesActions: ("arrays", "step changes the actions it is given", "['a'][0]", None, 1),
    envs.TrustsItsObservations: ("arrays", "writing into an observation changes the episode", "", None, 1),
    envs.Unseeded: ("seeds", "the same seed gives a different episode", "['observations']['a'][0]", None, 0),
    envs.UnseededLater: ("seeds", "the episode after a seeded one is different each time", "", None, 0),
    envs.Replaying: ("seeds", "a reset without a seed replays the last seed's episode", "", None, None),
    envs.Tired: ("seeds", "the episode of a seed depends on earlier episodes", "['rewards']", None, 1),
    envs.GlobalRandom: ("copies", "another copy in the same process changes the episode", "", None, 1),
}


@pytest.mark.parametrize("flawed", FLAWS, ids=lambda flawed: flawed.__name__)
def test_flaw_is_found_named_and_located(flawed):
    check, problem, detail, agent, step = FLAWS[flawed]

    found = [finding for finding in inspect_env(flawed, LIMITS).of(check) if finding.problem.startswith(problem)]

    assert len(found) == 1
    (finding,) = found
    assert finding.is_error
    assert detail in finding.detail
    assert finding.fix or agent is None
    assert (finding.where.agent, finding.where.step) == (agent, step)
    assert check in NAMES


@pytest.mark.parametrize(
    "flawed",
    [flawed for flawed in FLAWS if FLAWS[flawed][0] in ("arrays", "seeds", "copies")],
    ids=lambda flawed: flawed.__name__,
)
def test_a_flaw_that_no_single_step_shows_is_found_alone(flawed):
    found = {(finding.check, finding.problem) for finding in inspect_env(flawed, LIMITS).errors}

    expected = {FLAWS[flawed][:2]}
    if flawed is envs.Aliased:  # callers can write into its arrays
        expected.add(("arrays", "writing into an observation changes the episode"))
    assert found - {("library", "parallel_api_test fails")} == expected


@pytest.mark.parametrize(
    ("odd", "check", "problem"),
    [
        (envs.Endless, "ending", "no episode ends"),
        (envs.Certain, "randomness", "every seed gives the same episode"),
        (envs.Warns, "warnings", "it warns: WARN: the wind is rising"),
        (envs.NarrowDtype, "observations", "an observation has a different dtype than its space"),
    ],
)
def test_oddities_are_remarks_and_break_nothing(odd, check, problem):
    found = inspect_env(odd, LIMITS)

    assert [finding.problem for finding in found.of(check)] == [problem]
    assert not found.errors
    check_parallel_env(odd, episodes=1, max_steps=20)


@pytest.mark.parametrize(
    ("check", "make"),
    [
        (check_parallel_env, envs.Walk),
        (check_aec_env, envs.Turns),
        (check_aec_env, lambda: parallel_to_aec(envs.Walk())),
        (check_gymnasium_env, envs.Single),
    ],
    ids=["parallel", "masked turns", "converted", "single"],
)
def test_sound_environments_pass_without_a_remark_of_ours(check, make):
    check(make)
    remarks = [finding for finding in inspect_env(make).all if finding.check in NAMES - {"library"}]
    assert not remarks


@pytest.mark.parametrize("check", ENV_CHECKS, ids=lambda check: check.__name__)
def test_each_check_runs_alone(check):
    name = name_of(check)
    flawed = next((env for env, (found, *_) in FLAWS.items() if found == name), None)

    check(envs.Walk, Limits(1, 5))
    if flawed is not None:
        with pytest.raises(AssertionError, match=f"^{name}: "):
            check(flawed, LIMITS)


@pytest.mark.parametrize(
    ("check", "make", "agent"),
    [
        (check_parallel_env, envs.Outside, "b"),
        (check_aec_env, envs.TurnsOutside, None),
        (check_gymnasium_env, envs.SingleOutside, "agent"),
    ],
)
def test_checks_raise_with_all_findings(check, make, agent):
    with pytest.raises(ContractError, match="an observation is outside its space") as caught:
        check(make, episodes=2, seed=5)

    outside = next(finding for finding in caught.value.findings if finding.check == "observations")
    assert outside.where.seed == 5
    assert agent in (None, outside.where.agent)
    assert isinstance(caught.value, AssertionError)


def test_a_repeated_problem_counts_once():
    (finding,) = inspect_env(envs.Outside, LIMITS).of("observations")

    assert finding.times == 4  # at steps 2 and 3, when b has its last, of two episodes


def test_the_seed_of_a_later_episode_is_reported():
    class FailsLater(envs.Walk):
        episodes = 0

        def reset(self, seed=None, options=None):
            self.episodes += seed is not None and seed >= 10
            if self.episodes == 3:
                raise RuntimeError("worn out")
            return super().reset(seed, options)

    found = inspect_env(FailsLater, Limits(episodes=4, max_steps=20, seed=10)).of("returns")

    assert [(finding.problem, finding.where.seed, finding.where.step) for finding in found] == [("reset raised", 12, 0)]
    assert "step" not in str(found[0].where)


def test_every_environment_is_closed():
    made = []

    def make():
        made.append(envs.Walk())
        return made[-1]

    check_parallel_env(make)

    assert len(made) > 3
    assert all(env.closed for env in made)


@pytest.mark.parametrize(
    ("check", "make"),
    [(check_parallel_env, envs.Single), (check_aec_env, envs.Walk), (check_gymnasium_env, envs.Walk)],
)
def test_other_kinds_are_refused(check, make):
    with pytest.raises(EnvCreationError, match=r"ParallelEnv|AECEnv|Env"):
        check(make)
    with pytest.raises(EnvCreationError, match="expected a PettingZoo ParallelEnv or AECEnv, or a Gymnasium Env"):
        inspect_env(dict)


def test_nan_has_a_fix_of_its_own():
    fixes = {finding.fix for finding in inspect_env(envs.NotANumber, LIMITS).of("observations")}
    assert fixes == {"find out where it becomes NaN"}
