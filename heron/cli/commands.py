"""The commands ``heron train``, ``heron evaluate`` and ``heron describe``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from heron.cli.console import console, evaluate_and_show, evaluation_table, train_and_save
from heron.cli.flags import backend_flags, hierarchy_flags, read_config
from heron.errors import ConfigurationError
from heron.play.policies import ModelPolicy, PolicyLike
from heron.training import TrainConfig, load_run, random_policies
from heron.training.run_folder import RunFolder
from heron.training.trainer import learner_configs
from heron.version import __version__
from heron.wrappers import HierarchicalVectorEnv

EVALUATION_SEED = 10_000
ENV_HELP = "Environment: a module (mpe2.simple_spread_v3), module:function, or a registered id (CartPole-v1)"

app = typer.Typer(
    name="heron",
    help="Train hierarchies of communicating agents on PettingZoo and Gymnasium environments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)

EnvName = Annotated[str, typer.Argument(metavar="ENV", help=f"{ENV_HELP}.")]
EnvNameOrConfig = Annotated[
    str | None,
    typer.Argument(metavar="ENV", show_default=False, help=f"{ENV_HELP}. Optional if the --config file names it."),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env-arg", "-a", metavar="KEY=VALUE", help="Argument for the environment; may be repeated."),
]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file with any of the settings; flags override it.")
]
Copies = Annotated[
    int | None,
    typer.Option(
        "--num-envs", "-n", min=1, help=f"Number of copies to run side by side; {TrainConfig.num_envs} by default."
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help=f"Total number of environment steps, over all copies; {TrainConfig.steps} by default."),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=f"Number of rounds; in each, every group learns for one turn; {TrainConfig.rounds} by default.",
    ),
]
Period = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Add one coordinator above all agents, which decides every PERIOD steps; 1 by default with --command.",
    ),
]
Command = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="Commands of the coordinator: SIZE,LOW,HIGH for SIZE numbers from LOW to HIGH, or N for one of N "
        "choices; 2,-1,1 by default.",
    ),
]
Goal = Annotated[
    str | None,
    typer.Option(
        metavar="FIRST,LAST", help="Treat commands as goals for these observation entries (LAST is excluded)."
    ),
]
Algorithm = Annotated[str | None, typer.Option(help="Algorithm of all groups: a class of SB3 or sb3-contrib.")]
Seed = Annotated[int | None, typer.Option(min=0, help=f"Root of all randomness; {TrainConfig.seed} by default.")]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend", metavar="NAME", help="Where copies are stepped: loop, process, or auto for the faster one."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=0, help="Number of worker processes beside this one, with --backend process or auto."
    ),
]
Episodes = Annotated[int, typer.Option(min=1, help="Number of episodes to evaluate on.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the run; runs/ENV by default.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the run that is already in the folder.")]
Threads = Annotated[int, typer.Option(min=1, help="Number of torch threads; one is fastest for small networks.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        console.print(f"heron {__version__}")
        raise typer.Exit


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "heron train mpe2.simple_spread_v3 --steps 50000\n\n"
    "heron train mpe2.simple_spread_v3 --period 5 --command 2,-1,1 --goal 2,4 --out runs/spread\n\n"
    "heron train pettingzoo.sisl.pursuit_v5 -a max_cycles=100 -n 8 --steps 20000\n\n"
    "heron train mpe2.simple_spread_v3 --backend auto --workers 1\n\n"
    "heron train mpe2.simple_spread_v3 --config spread.toml --seed 3\n\n"
    "heron train --config everything.toml"
)
def train(
    env: EnvNameOrConfig = None,
    config: Config = None,
    env_arg: EnvOption = None,
    num_envs: Copies = None,
    steps: Steps = None,
    rounds: Rounds = None,
    period: Period = None,
    command: Command = None,
    goal: Goal = None,
    algorithm: Algorithm = None,
    seed: Seed = None,
    backend: BackendName = None,
    workers: Workers = None,
    episodes: Episodes = 100,
    out: Out = None,
    force: Force = False,
    threads: Threads = 1,
) -> None:
    """Train agents, or a coordinator and its agents, and save the run to a folder.

    The folder holds run.json, policies/, metrics.csv, curves.png, evaluation.json and tensorboard/.
    """
    torch.set_num_threads(threads)
    flags = {"num_envs": num_envs, "steps": steps, "rounds": rounds, "seed": seed}
    settings = read_config(
        env, config, env_arg, flags, hierarchy_flags(period, command, goal), backend_flags(backend, workers)
    )
    if algorithm is not None:
        settings = with_algorithm(settings, algorithm)
    folder = RunFolder(out or Path("runs") / settings.env.replace(":", "-"))
    if folder.holds_run and not force:
        raise ConfigurationError(f"{folder} already holds a run: choose another folder with --out, or add --force")
    trainer = train_and_save(settings, folder.path)
    title = f"{settings.env} after {trainer.env_steps:,} environment steps"
    if trainer.env_steps > settings.steps:
        console.print(f"Took {trainer.env_steps:,} steps, not {settings.steps:,}: learners collect whole rollouts.")
    with trainer.venv as venv:
        compare(venv, trainer.policies(), folder, title, episodes, EVALUATION_SEED, settings.seed)
    console.print(f"The run is in {folder}; see {folder.curves_file}", markup=False, soft_wrap=True)


@app.command(
    name="evaluate",
    epilog="[bold]Examples[/bold]\n\nheron evaluate runs/demo/hierarchy\n\n"
    "heron evaluate runs/demo/hierarchy --episodes 500 --stochastic\n\n"
    "heron evaluate runs/demo/hierarchy --backend auto --workers 1",
)
def evaluate_run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as written by heron train.")],
    episodes: Episodes = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode.")] = EVALUATION_SEED,
    num_envs: Annotated[
        int | None,
        typer.Option(
            "--num-envs", "-n", min=1, help="Number of copies to run side by side; as in the training by default."
        ),
    ] = None,
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Sample actions instead of taking the most likely ones.")
    ] = False,
    backend: BackendName = None,
    workers: Workers = None,
    threads: Threads = 1,
) -> None:
    """Compare a trained run with random actions: mean team return, 95% interval and number of episodes."""
    torch.set_num_threads(threads)
    loaded = load_run(run)
    if loaded.config is not None:
        values = loaded.config.to_mapping() | backend_flags(backend, workers)
        loaded = replace(loaded, config=TrainConfig.from_mapping(values))
    with loaded.make_venv(num_envs) as venv:
        compare(venv, loaded.policies(deterministic=not stochastic), RunFolder(run), str(run), episodes, seed)


@app.command(
    epilog="[bold]Examples[/bold]\n\nheron describe mpe2.simple_tag_v3\n\n"
    "heron describe mpe2.simple_spread_v3 --period 5 --command 2,-1,1"
)
def describe(
    env: EnvNameOrConfig = None,
    config: Config = None,
    env_arg: EnvOption = None,
    num_envs: Copies = None,
    period: Period = None,
    command: Command = None,
    goal: Goal = None,
) -> None:
    """Show the copies, hierarchy, groups, spaces, periods and channels of an environment."""
    settings = read_config(env, config, env_arg, {"num_envs": num_envs}, hierarchy_flags(period, command, goal), {})
    with settings.make_venv() as venv:
        console.print(venv.describe(), highlight=False, markup=False, soft_wrap=True)


def with_algorithm(config: TrainConfig, algorithm: str) -> TrainConfig:
    """Return a config that differs only in the algorithm, which is the same for all groups."""
    with config.make_venv(num_envs=1) as venv:
        learners = learner_configs(config.learners, venv.groups)
    return replace(config, learners={name: replace(one, algorithm=algorithm) for name, one in learners.items()})


def compare(
    venv: HierarchicalVectorEnv,
    trained: Mapping[str, ModelPolicy],
    folder: RunFolder,
    title: str,
    episodes: int,
    seed: int,
    random_seed: int = 0,
) -> None:
    """Evaluate a run and random actions on the same episodes, show a table and write the results to the run's folder.

    Raises:
        ConfigurationError: If the results cannot be written.
    """
    contenders: dict[str, Mapping[str, PolicyLike]] = {
        "random": random_policies(venv, random_seed),
        "trained": trained,
    }
    results = {
        label: evaluate_and_show(label, venv, policies, episodes, seed) for label, policies in contenders.items()
    }
    console.print(evaluation_table(results, title))
    deterministic = {"random": False, "trained": any(policy.deterministic for policy in trained.values())}
    folder.write_evaluation(
        {
            label: result.to_mapping() | {"seed": seed, "deterministic": deterministic[label]}
            for label, result in results.items()
        }
    )
