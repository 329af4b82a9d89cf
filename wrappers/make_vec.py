"""Making a vector env from an environment's name, in one call."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from heron.agents import Hierarchy
from heron.batch.array_env import ArrayEnv
from heron.batch.batch_env import BatchEnv
from heron.batch.copy_selection import check_env_ids
from heron.errors import ConfigurationError, HierarchyError
from heron.messaging import MessageBroker
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.intrinsic import IntrinsicReward
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.env_names import env_factory
from heron.wrappers.sources.vector_source import batch_of_vector_env
from heron.wrappers.workers.backend import Backend, check_backend, make_batch_env
from heron.wrappers.workers.process_env import ProcessEnv
from heron.wrappers.workers.sharding import StartMethod, WorkerOptions

AnyEnv: TypeAlias = (
    str | EnvFactory | Sequence[EnvFactory] | type[ArrayEnv[Any]] | BatchEnv | gymnasium.vector.VectorEnv[Any, Any, Any]
)
"""Anything that ``make_vec`` makes a vector env of."""


def make_vec(
    env: AnyEnv,
    num_envs: int | None = None,
    hierarchy: Hierarchy | Callable[[Sequence[str]], Hierarchy] | None = None,
    broker: MessageBroker | None = None,
    env_ids: Sequence[str] | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    intrinsic_reward: IntrinsicReward | Mapping[str, IntrinsicReward] | None = None,
    step_length: float = 1.0,
    validate: bool = False,
    backend: Backend = "loop",
    num_workers: int | None = None,
    start_method: StartMethod | None = None,
    timeout: float | None = None,
    restart_workers: bool | None = None,
) -> HierarchicalVectorEnv:
    """Make copies of an environment, under a hierarchy if there is one, that communicate through one broker.

    Args:
        env: The environment to copy: an importable module with a ``parallel_env`` or ``env`` function, such as
            ``"mpe2.simple_spread_v3"``, or ``"module:function"``; an id that is registered with Gymnasium or
            PettingZoo, such as ``"CartPole-v1"``; a function that makes a PettingZoo ``ParallelEnv`` or
            ``AECEnv``, or a Gymnasium ``Env``; a list of such functions, one per copy; a class of
            worlds, see ``heron.batch.ArrayEnv``; a ``BatchEnv``; or a Gymnasium ``VectorEnv``, see ``VectorEnvSource``.
        num_envs: Number of copies; 1 by default, or the number in the list or ``BatchEnv``.
        hierarchy: The tree of agents; flat by default. A function gets the environment's agent ids and
            returns a ``Hierarchy``, as in ``lambda ids: Hierarchy.star(ids, period=5, command_space=space)``.
        broker: Carries all messages; may be shared. By default an ``InMemoryBroker`` of its own.
        env_ids: Names of the copies; ``env_0``, ``env_1`` ... by default.
        env_kwargs: Arguments for the environment's function.
        groups: Group name -> agent ids, to arrange the environment's agents by hand.
        intrinsic_reward: The reward of subordinates in place of the environment's; see
            ``HierarchicalVectorEnv``.
        step_length: Simulation time of one environment step.
        validate: Check every observation against its space, and every reward for being finite; only for copies that
            are made here.
        backend: ``"loop"`` steps all copies in this process; ``"process"`` lets worker processes step most of
            them, see ``ProcessEnv``; ``"auto"`` tries both on copies that are thrown away, under the same hierarchy,
            and takes the loop unless worker processes are clearly faster. ``describe()`` states the choice and its
            reason. The same seeds give the same trajectories with each.
        num_workers: Worker processes beside this one; by default as many as there are cores for.
        start_method: Starting method of the processes: ``"forkserver"``, the default, ``"spawn"`` or ``"fork"``.
        timeout: Longest wait for one in s; 60 by default.
        restart_workers: Restart a lost one at once instead of raising; see ``ProcessEnv``. Like the three above it is
            refused with ``backend="loop"``.

    Raises:
        ConfigurationError: If an option does not fit, or the name cannot be imported.
        EnvCreationError: If a copy could not be made; it names the copy.
        HierarchyError: If the hierarchy does not fit the environment's agents.

    >>> venv = make_vec("mpe2.simple_spread_v3", num_envs=4)
    >>> venv.reset(seed=0)["agent"].shape
    (4, 3, 18)
    >>> venv.close()
    """
    workers = WorkerOptions(num_workers, start_method, timeout, restart_workers)
    vector_env = partial(_vector_env, hierarchy=hierarchy, step_length=step_length)
    if isinstance(env, (BatchEnv, gymnasium.vector.VectorEnv)):
        options = {"env_kwargs": env_kwargs, "groups": groups, "validate": validate or None, **workers.given()}
        batch_env = _existing(env, num_envs, env_ids, backend, **options)
    elif isinstance(env, type) and issubclass(env, ArrayEnv):
        options = {"groups": groups, "validate": validate or None}
        batch_env = _world(partial(env, **(env_kwargs or {})), num_envs, env_ids, backend, workers, **options)
    else:
        factories = _factories(env, num_envs, dict(env_kwargs or {}))
        # A trial has a broker of its own and no intrinsic rewards: the user's may keep a state.
        batch_env = make_batch_env(
            factories, env_ids, backend, workers, groups=groups, validate=validate, vector_env=vector_env
        )
    try:
        return vector_env(batch_env, broker=broker, intrinsic_reward=intrinsic_reward)
    except BaseException:
        if batch_env is not env:
            batch_env.close()
        raise


def _world(
    make: "partial[ArrayEnv[Any]]",
    num_envs: int | None,
    env_ids: Sequence[str] | None,
    backend: Backend,
    workers: WorkerOptions,
    **options: object,
) -> BatchEnv:
    """Make copies of a world on arrays, which are stepped by worker processes only on request."""
    if given := [name for name, value in options.items() if value is not None]:
        raise ConfigurationError(f"{given} cannot be chosen for {make.func.__name__}, which is written on arrays")
    num_envs = num_envs or (1 if env_ids is None else len(env_ids))
    check_backend(backend, workers, num_envs)
    if backend == "process":
        names = check_env_ids(env_ids, num_envs)
        return ProcessEnv.of_shards(lambda ids: make(len(ids), env_ids=ids), names, **workers.given())
    world = make(num_envs, env_ids=env_ids)
    if backend == "auto":
        world.remark = 'backend="auto" chose this process: a world on arrays steps all copies at once'
    return world


def _vector_env(
    batch_env: BatchEnv, *, hierarchy: Hierarchy | Callable[[Sequence[str]], Hierarchy] | None, **options: Any
) -> HierarchicalVectorEnv:
    """Make the vector env of a batch of copies."""
    if callable(hierarchy):
        agent_ids = [agent for group in batch_env.groups.values() for agent in group.agent_ids]
        hierarchy = hierarchy(agent_ids)
        if not isinstance(hierarchy, Hierarchy):  # a function may have forgotten to return it
            raise HierarchyError(f"the function given as hierarchy must return a Hierarchy, got {hierarchy!r}")
    return HierarchicalVectorEnv(batch_env, hierarchy, **options)


def _factories(
    env: str | EnvFactory | Sequence[EnvFactory], num_envs: int | None, env_kwargs: dict[str, Any]
) -> list[EnvFactory]:
    if num_envs is not None and (not isinstance(num_envs, (int, np.integer)) or num_envs < 1):
        raise ConfigurationError(f"num_envs must be a positive integer, got {num_envs!r}")
    factory = env_factory(env) if isinstance(env, str) else env
    if not isinstance(factory, Sequence) and callable(factory):
        return [partial(factory, **env_kwargs)] * (num_envs or 1)
    if not isinstance(factory, Sequence):
        raise ConfigurationError(
            "env must be a name, a function that makes an environment, a list of such functions, a BatchEnv or a "
            f"VectorEnv, got {env!r}"
        )
    if num_envs not in (None, len(factory)):
        raise ConfigurationError(f"num_envs is {num_envs}, but the list has {len(factory)} factories")
    return [partial(one, **env_kwargs) if env_kwargs else one for one in factory]


def _existing(
    env: BatchEnv | gymnasium.vector.VectorEnv[Any, Any, Any],
    num_envs: int | None,
    env_ids: Sequence[str] | None,
    backend: str,
    **options: object,
) -> BatchEnv:
    """Return copies that exist already, of which only a few options can be changed."""
    kind = "BatchEnv" if isinstance(env, BatchEnv) else "VectorEnv"
    given = [name for name, value in options.items() if value is not None]
    if isinstance(env, BatchEnv) and env_ids is not None:
        given.insert(0, "env_ids")
    if given:
        raise ConfigurationError(f"{given} cannot be changed on a {kind} that exists already")
    if num_envs not in (None, env.num_envs):
        raise ConfigurationError(f"num_envs is {num_envs}, but the {kind} has {env.num_envs} copies")
    if backend != "loop":
        raise ConfigurationError(f"backend {backend!r} cannot be changed on a {kind} that exists already")
    return env if isinstance(env, BatchEnv) else batch_of_vector_env(env, env_ids)
