"""What the ``heron`` command can do."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

import heron
from heron.cli.console import CURVES_FILE, EVALUATION_FILE, console, evaluate_and_show, evaluation_table, train_and_save
from heron.cli.flags import backend_flags, hierarchy_flags, read_config
from heron.errors import ConfigurationError
from heron.play.policies import ModelPolicy, PolicyLike
from heron.training import TrainConfig, load_run, random_policies
from heron.training.run import RUN_FILE
from heron.training.trainer import learner_configs
from heron.wrappers import HierarchicalVectorEnv

EVALUATION_SEED = 10_000

app = typer.Typer(
    name="heron",
    help="Train hierarchies of communicating agents on PettingZoo environments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)

EnvName = Annotated[
    str,
    typer.Argument(
        metavar="ENV", help="Environment: mpe2.simple_spread_v3, module:function, or a registered id, as CartPole-v1."
    ),
]
EnvNameOrConfig = Annotated[
    str | None,
    typer.Argument(
        metavar="ENV",
        show_default=False,
        help="Environment: mpe2.simple_spread_v3, module:function, or a registered id, as CartPole-v1; may stand in "
        "--config instead.",
    ),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env-arg", "-a", metavar="KEY=VALUE", help="Argument for the environment; may be repeated."),
]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file for what is too long for flags; flags stand over it.")
]
Copies = Annotated[
    int | None, typer.Option("--num-envs", "-n", min=1, help="Copies that run side by side; 16 by default.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="The one root of all randomness; 0 by default.")]
Period = Annotated[
    int | None,
    typer.Option(
        min=1, help="Put one coordinator above all agents, deciding every PERIOD steps; 1 by default, with --command."
    ),
]
Command = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="What it commands: SIZE,LOW,HIGH for SIZE numbers from LOW to HIGH, or N for one of N choices; "
        "2,-1,1 by default.",
    ),
]
Goal = Annotated[
    str | None,
    typer.Option(metavar="FIRST,LAST", help="Commands are goals for these observation entries (LAST excluded)."),
]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend", metavar="NAME", help="Step the copies in a loop, in worker process(es), or auto: what is faster."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Worker processes beside this one, with --backend process or auto."),
]
Episodes = Annotated[int, typer.Option(min=1, help="How many episodes to evaluate on.")]
Threads = Annotated[int, typer.Option(min=1, help="Of torch; small networks are fastest with one.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        console.print(f"heron {heron.__version__}")
        raise typer.Exit


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "heron train mpe2.simple_spread_v3 --steps 50000\n\n"
    "heron train mpe2.simple_spread_v3 --period 5 --command 2,-1,1 --goal 2,4 --out runs/spread\n\n"
    "heron train pettingzoo.sisl.pursuit_v5 -a max_cycles=100 -n 8 --steps 20000\n\n"
    "heron train mpe2.simple_spread_v3 --backend auto --workers 1\n\n"
    "heron train mpe2.simple_spread_v3 --config spread.toml --seed 3\n\n"
    "heron train --config all-of-it.toml"
)
def train(
    env: EnvNameOrConfig = None,
    config: Config = None,
    env_arg: EnvOption = None,
    num_envs: Copies = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Environment steps in all, over all copies; 100000 by default.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="How often the turn goes round the groups; 1 by default.")
    ] = None,
    period: Period = None,
    command: Command = None,
    goal: Goal = None,
    algorithm: Annotated[str | None, typer.Option(help="SB3 or sb3-contrib class that all groups learn by.")] = None,
    seed: Seed = None,
    backend: BackendName = None,
    workers: Workers = None,
    episodes: Episodes = 100,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; runs/ENV by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is in the folder already.")] = False,
    threads: Threads = 1,
) -> None:
    """Train agents, or a coordinator and its agents, and keep them in a folder.

    Writes run.json, policies/, metrics.csv, curves.png, evaluation.json and tensorboard/ there.
    """
    torch.set_num_threads(threads)
    flags = {"num_envs": num_envs, "steps": steps, "rounds": rounds, "seed": seed}
    settings = read_config(
        env, config, env_arg, flags, hierarchy_flags(period, command, goal), backend_flags(backend, workers)
    )
    if algorithm is not None:
        settings = with_algorithm(settings, algorithm)
    folder = out or Path("runs") / settings.env.replace(":", "-")
    if (folder / RUN_FILE).exists() and not force:
        raise ConfigurationError(f"{folder} holds a run already: choose another folder with --out, or add --force")
    trainer = train_and_save(settings, folder)
    title = f"{settings.env} after {trainer.env_steps:,} environment steps"
    if trainer.env_steps > settings.steps:
        console.print(
            f"Learners take whole rollouts, hence {trainer.env_steps:,} steps rather than {settings.steps:,}."
        )
    with trainer.venv as venv:
        compare(venv, trainer.policies(), folder, title, episodes, EVALUATION_SEED, settings.seed)
    console.print(f"Everything is in {folder}; see {folder / CURVES_FILE}", markup=False, soft_wrap=True)


@app.command(
    name="evaluate",
    epilog="[bold]Examples[/bold]\n\nheron evaluate runs/demo/hierarchy\n\n"
    "heron evaluate runs/demo/hierarchy --episodes 500 --stochastic\n\n"
    "heron evaluate runs/demo/hierarchy --backend auto --workers 1",
)
def evaluate_run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that heron train has written.")],
    episodes: Episodes = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode.")] = EVALUATION_SEED,
    num_envs: Annotated[
        int | None, typer.Option("--num-envs", "-n", min=1, help="Copies that run side by side; by default as trained.")
    ] = None,
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Sample actions instead of taking the best.")
    ] = False,
    backend: BackendName = None,
    workers: Workers = None,
    threads: Threads = 1,
) -> None:
    """Evaluate a trained run beside random actions: mean team return, 95% interval, episodes."""
    torch.set_num_threads(threads)
    loaded = load_run(run)
    if loaded.config is not None:
        values = loaded.config.to_mapping() | backend_flags(backend, workers)
        loaded = replace(loaded, config=TrainConfig.from_mapping(values))
    with loaded.make_venv(num_envs) as venv:
        compare(venv, loaded.policies(deterministic=not stochastic), run, str(run), episodes, seed)


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
    """Show who is who: copies, hierarchy, groups, spaces, periods and channels."""
    settings = read_config(env, config, env_arg, {"num_envs": num_envs}, hierarchy_flags(period, command, goal), {})
    with settings.make_venv() as venv:
        console.print(venv.describe(), highlight=False, markup=False, soft_wrap=True)


def with_algorithm(config: TrainConfig, algorithm: str) -> TrainConfig:
    """The same config, but all groups learn by ``algorithm``."""
    with config.make_venv(num_envs=1) as venv:
        learners = learner_configs(config.learners, venv.groups)
    return replace(config, learners={name: replace(one, algorithm=algorithm) for name, one in learners.items()})


def compare(
    venv: HierarchicalVectorEnv,
    trained: Mapping[str, ModelPolicy],
    folder: Path,
    title: str,
    episodes: int,
    seed: int,
    random_seed: int = 0,
) -> None:
    """Evaluate a run beside random actions on the same episodes, show the table and write ``evaluation.json``.

    Raises:
        ConfigurationError: If the file cannot be written.
    """
    contenders: dict[str, Mapping[str, PolicyLike]] = {
        "random": random_policies(venv, random_seed),
        "trained": trained,
    }
    results = {
        label: evaluate_and_show(label, venv, policies, episodes, seed) for label, policies in contenders.items()
    }
    console.print(evaluation_table(results, title))
    sampled = {"random": True, "trained": not any(policy.deterministic for policy in trained.values())}
    figures = {
        label: result.to_mapping() | {"seed": seed, "deterministic": not sampled[label]}
        for label, result in results.items()
    }
    path = folder / EVALUATION_FILE
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error}") from error
