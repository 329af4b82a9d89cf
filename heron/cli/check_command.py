"""The command ``heron check``."""

import warnings
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Annotated, Any

import gymnasium
import typer
from rich.markup import escape

from heron.batch.batch_env import BatchEnv
from heron.cli.check_report import findings_table, overview
from heron.cli.commands import EnvName, EnvOption, app
from heron.cli.console import console, progress_bar
from heron.cli.flags import parse_env_arg
from heron.errors import ConfigurationError, EnvCreationError, HeronError, summary
from heron.testing import BATCH_ENV_CHECKS, VIEW_CHECKS, Limits, ViewPlan
from heron.testing.env import env_section
from heron.testing.section import Section
from heron.testing.view.against_environments import check_against_environments
from heron.wrappers import GymVectorEnv, LoopEnv
from heron.wrappers.make_vec import make_vec
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.sb3.sb3_slots import check_acts_in_one_array
from heron.wrappers.sources.env_creation import make_env
from heron.wrappers.sources.env_names import env_factory

_COPIES = 3
_LONGEST_IN_SUITES = 50
"""Longest episode in the suites, which play each episode dozens of times."""


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "heron check mpe2.simple_spread_v3\n\n"
    "heron check pettingzoo.butterfly.knights_archers_zombies_v11 --episodes 2 --max-steps 300\n\n"
    "heron check pettingzoo.classic.connect_four_v3\n\n"
    "heron check my_package.my_module:make_env -a size=8 --seed 7"
)
def check(
    env: EnvName,
    env_arg: EnvOption = None,
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes whose every step is checked.")] = 3,
    max_steps: Annotated[int, typer.Option(min=1, help="Maximum number of steps of an episode.")] = 500,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first episode; the next ones are SEED + 1, SEED + 2, ...")
    ] = 0,
    alone: Annotated[
        bool, typer.Option("--alone", help="Check only the environment, not its copies or its vector views.")
    ] = False,
) -> None:
    """Check an environment over whole episodes: report what fails, where, and how to fix it.

    ENV is a PettingZoo ParallelEnv or AECEnv, or a Gymnasium Env. The exit code is 1 if a check fails.
    """
    make = partial(env_factory(env), **dict(map(parse_env_arg, env_arg or ())))
    sections = plan(make, Limits(episodes, max_steps, seed), alone=alone)
    with progress_bar("checks") as progress:
        task = progress.add_task("checking", total=sum(len(section.jobs) for section in sections))
        for section in sections:
            progress.update(task, description=f"checking {escape(section.title)}")
            for job in section.jobs:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the section of the environment itself reports them
                    job()
                progress.advance(task)
    console.print(overview(sections, env))
    findings = [finding for section in sections for finding in section.findings.all]
    if findings:
        console.print(findings_table(findings))
    raise typer.Exit(any(finding.is_error for finding in findings))


def plan(make: Callable[[], Any], limits: Limits, *, alone: bool = False) -> list[Section]:
    """Return all sections of checks for an environment.

    Args:
        make: Factory that makes a new environment.
        limits: Number and length of the episodes.
        alone: Leave out the sections on copies, and on the vector views for Gymnasium and SB3.

    Raises:
        EnvCreationError: If the factory raises, or makes something that is not an environment.
    """
    try:
        own = env_section(make, limits)
    except HeronError:
        raise
    except Exception as error:
        raise EnvCreationError(f"making the environment raised {summary(error)}") from error
    if alone:
        return [own]
    copies = partial(LoopEnv, [make] * _COPIES)
    steps = min(limits.max_steps, _LONGEST_IN_SUITES)
    try:
        with closing(copies()) as env:
            plain = partial(make_env, make, env.env_ids[0]) if len(env.groups) == 1 else None
            view_plan = ViewPlan(plain, steps=steps, seed=limits.seed)
            views = [
                _view_section(kind, copies, name, env, view_plan)
                for name, kind in product(env.groups, (GymVectorEnv, Sb3VecEnv))
            ]
    except (ConfigurationError, EnvCreationError) as error:
        return [own, Section.left_out("as copies", str(error))]
    return [own, Section.of_suite(f"{_COPIES} copies", BATCH_ENV_CHECKS, copies, steps), *views]


def _view_section(
    kind: type[GymVectorEnv] | type[Sb3VecEnv],
    copies: Callable[[], BatchEnv],
    learn: str,
    env: BatchEnv,
    view_plan: ViewPlan,
) -> Section:
    """Return the section on a vector view of one group, while each other group repeats one action."""
    title = f"{learn} under {'SB3' if kind is Sb3VecEnv else 'Gymnasium'}"
    try:
        if kind is Sb3VecEnv:
            check_acts_in_one_array(env.groups[learn].action_space, "its action_space")
    except ConfigurationError as error:
        return Section.left_out(title, str(error))
    others = {name: _constant_action(group.action_space) for name, group in env.groups.items() if name != learn}
    agents = env.groups[learn].agent_ids
    view_plan = replace(view_plan, agents=agents, slots_per_env=len(agents))
    # The plain environment has no policies for the other groups.
    checks = [check for check in VIEW_CHECKS if view_plan.make_env or check is not check_against_environments]
    return Section.of_suite(title, checks, lambda: kind(make_vec(copies()), learn, dict(others)), view_plan)


def _constant_action(space: gymnasium.Space[Any]) -> Any:
    own = deepcopy(space)
    own.seed(0)
    return own.sample()
