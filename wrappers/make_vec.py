"""Vector envs from any environment, in one call."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import gymnasium

from heron.agents import Hierarchy
from heron.batch.array_env import ArrayEnv
from heron.batch.batch_env import BatchEnv
from heron.batch.copy_selection import check_env_ids
from heron.errors import ConfigurationError, HierarchyError, checked_count
from heron.messaging import MessageBroker
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.intrinsic import IntrinsicReward
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.env_names import env_factory
from heron.wrappers.sources.vector_batch import batch_of_vector_env
from heron.wrappers.workers.backend import Backend, check_backend, make_batch_env
from heron.wrappers.workers.process_env import ProcessEnv
from heron.wrappers.workers.sharding import StartMethod, WorkerOptions

AnyEnv: TypeAlias = (
    str | EnvFactory | Sequence[EnvFactory] | type[ArrayEnv[Any]] | BatchEnv | gymnasium.vector.VectorEnv[Any, Any, Any]
)
"""Everything that ``make_vec`` accepts as an environment."""


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
    reset_mask: bool | None = None,
) -> HierarchicalVectorEnv:
    """Make a vector env: copies of an environment under a hierarchy, whose agents communicate through one broker.

    Args:
        env: The environment to copy: an importable module with a ``parallel_env`` or ``env`` function, such as
            ``"mpe2.simple_spread_v3"``, or ``"module:function"``; an id that is registered with Gymnasium or
            PettingZoo, such as ``"CartPole-v1"``; a function that makes a PettingZoo ``ParallelEnv`` or
            ``AECEnv``, or a Gymnasium ``Env``; a list of such functions, one per copy; a class of
            worlds, see ``heron.batch.ArrayEnv``; a ``BatchEnv``; or a Gymnasium ``VectorEnv``, see ``VectorEnvSource``.
        num_envs: Number of copies; 1 by default, or the number in the list or ``BatchEnv``.
        hierarchy: The tree of agents; flat by default. A function gets the environment's agent ids and
            returns a ``Hierarchy``, as in ``lambda ids: Hierarchy.star(ids, period=5, command_space=space)``.
        broker: The broker for all messages; may be shared. A new ``InMemoryBroker`` by default.
        env_ids: Ids of the copies; ``env_0``, ``env_1`` ... by default.
        env_kwargs: Keyword arguments for the environment's function or class.
        groups: Group name -> agent ids, to group the environment's agents by hand.
        intrinsic_reward: The reward of subordinates that replaces the environment's; see
            ``HierarchicalVectorEnv``.
        step_length: Simulation time of one environment step.
        validate: Check that every observation is in its space and every reward is finite. Only for copies that this
            call makes.
        backend: ``"loop"`` steps all copies in this process. ``"process"`` steps most of them in worker processes,
            see ``ProcessEnv``. ``"auto"`` times both on temporary copies under the same hierarchy, and chooses the
            loop unless worker processes are clearly faster; ``describe()`` states the choice and its reason. The
            same seeds give the same trajectories with every backend.
        num_workers: Number of worker processes beside this one; by default one for each further core.
        start_method: Start method of the processes: ``"forkserver"``, the default, ``"spawn"`` or ``"fork"``.
        timeout: Longest wait for a worker in s; 60 by default.
        restart_workers: Restart a lost worker at once instead of raising; see ``ProcessEnv``. This option and the
            three above are rejected with ``backend="loop"``.
        reset_mask: For a Gymnasium ``VectorEnv``: True if it supports ``options["reset_mask"]``, False if it can only
            reset all copies; see ``VectorEnvSource``.

    Raises:
        ConfigurationError: If an option is invalid, or the name cannot be imported.
        EnvCreationError: If a copy could not be made.
        HierarchyError: If the hierarchy does not fit the environment's agents.

    >>> venv = make_vec("mpe2.simple_spread_v3", num_envs=4)
    >>> venv.reset(seed=0)["agent"].shape
    (4, 3, 18)
    >>> venv.close()
    """
    workers = WorkerOptions(num_workers, start_method, timeout, restart_workers)
    vector_env = partial(_vector_env, hierarchy=hierarchy, step_length=step_length)
    if reset_mask is not None and not isinstance(env, gymnasium.vector.VectorEnv):
        raise ConfigurationError(f"reset_mask is for a Gymnasium VectorEnv, got reset_mask={reset_mask!r} for {env!r}")
    if isinstance(env, (BatchEnv, gymnasium.vector.VectorEnv)):
        options = {"env_kwargs": env_kwargs, "groups": groups, "validate": validate or None, **workers.given()}
        batch_env = _existing(env, num_envs, env_ids, backend, reset_mask, **options)
    elif isinstance(env, type) and issubclass(env, ArrayEnv):
        options = {"groups": groups, "validate": validate or None}
        batch_env = _world(partial(env, **(env_kwargs or {})), num_envs, env_ids, backend, workers, **options)
    else:
        factories = _factories(env, num_envs, dict(env_kwargs or {}))
        # A trial uses its own broker and no intrinsic rewards, because the user's may have state.
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
    """Make copies of a world. Only ``backend="process"`` steps them in worker processes."""
    if given := [name for name, value in options.items() if value is not None]:
        raise ConfigurationError(f"options {given} are not supported for {make.func.__name__}, which is an ArrayEnv")
    num_envs = num_envs or (1 if env_ids is None else len(env_ids))
    check_backend(backend, workers, num_envs)
    if backend == "process":
        names = check_env_ids(env_ids, num_envs)
        return ProcessEnv.of_shards(lambda ids: make(len(ids), env_ids=ids), names, **workers.given())
    world = make(num_envs, env_ids=env_ids)
    if backend == "auto":
        world.remark = 'backend="auto" chose this process: an ArrayEnv steps all copies at once'
    return world


def _vector_env(
    batch_env: BatchEnv, *, hierarchy: Hierarchy | Callable[[Sequence[str]], Hierarchy] | None, **options: Any
) -> HierarchicalVectorEnv:
    """Make the vector env of a ``BatchEnv``."""
    if callable(hierarchy):
        agent_ids = [agent for group in batch_env.groups.values() for agent in group.agent_ids]
        hierarchy = hierarchy(agent_ids)
        if not isinstance(hierarchy, Hierarchy):  # such as None, if the function does not return it
            raise HierarchyError(f"the function passed as hierarchy must return a Hierarchy, got {hierarchy!r}")
    return HierarchicalVectorEnv(batch_env, hierarchy, **options)


def _factories(
    env: str | EnvFactory | Sequence[EnvFactory], num_envs: int | None, env_kwargs: dict[str, Any]
) -> list[EnvFactory]:
    if num_envs is not None:
        num_envs = checked_count("num_envs", num_envs)
    factory = env_factory(env) if isinstance(env, str) else env
    if not isinstance(factory, Sequence) and callable(factory):
        return [partial(factory, **env_kwargs)] * (num_envs or 1)
    if not isinstance(factory, Sequence):
        raise ConfigurationError(
            "env must be a name, a function that makes an environment, a list of such functions, an ArrayEnv class, a "
            f"BatchEnv or a VectorEnv, got {env!r}"
        )
    if num_envs not in (None, len(factory)):
        raise ConfigurationError(f"num_envs is {num_envs}, but the list has {len(factory)} factories")
    return [partial(one, **env_kwargs) if env_kwargs else one for one in factory]


def _existing(
    env: BatchEnv | gymnasium.vector.VectorEnv[Any, Any, Any],
    num_envs: int | None,
    env_ids: Sequence[str] | None,
    backend: str,
    reset_mask: bool | None,
    **options: object,
) -> BatchEnv:
    """Return the ``BatchEnv`` of existing copies, and reject options that they no longer accept."""
    kind = "BatchEnv" if isinstance(env, BatchEnv) else "VectorEnv"
    given = [name for name, value in options.items() if value is not None]
    if isinstance(env, BatchEnv) and env_ids is not None:
        given.insert(0, "env_ids")
    if given:
        raise ConfigurationError(f"options {given} cannot be changed on an existing {kind}")
    if num_envs not in (None, env.num_envs):
        raise ConfigurationError(f"num_envs is {num_envs}, but the {kind} has {env.num_envs} copies")
    if backend != "loop":
        raise ConfigurationError(f"backend {backend!r} is not supported for an existing {kind}, only 'loop'")
    return env if isinstance(env, BatchEnv) else batch_of_vector_env(env, env_ids, reset_mask=reset_mask)
