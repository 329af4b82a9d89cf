"""Resets and steps of some copies in Gymnasium's ``AsyncVectorEnv``."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from heron.batch.array_tree import write
from heron.batch.batch_env import BoolArray
from heron.errors import EnvClosedError
from heron.wrappers.sources.vector_drivers import AnyVectorEnv, Info, Seeds, VectorDriver, VectorResults, no_infos


class AsyncDriver(VectorDriver):
    """Drives Gymnasium's ``AsyncVectorEnv`` by its pipes, one to the worker process of each copy.

    Its own methods send to all workers. A worker that is left out here receives nothing, and its copy does not change.
    """

    steps_some = True

    def __init__(self, env: AnyVectorEnv) -> None:
        super().__init__(env)
        self._due = np.zeros(env.num_envs, dtype=bool)  # workers that will treat the next step as a reset
        self._owing: dict[int, str] = {}  # worker -> its question, while the answer has not been received

    def reset_all(self, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        return self.reset_some(np.ones(self.env.num_envs, dtype=bool), seeds, options)

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        env: Any = self.env
        self._follow_late(np.flatnonzero(mask).tolist())  # one may have ended, and be due then
        answers = self._reset_by_step(mask & self._due)
        rest = [
            index
            for index in np.flatnonzero(mask).tolist()
            if index not in answers or options or seeds[index] is not None
        ]
        given = None if options is None else dict(options)
        answers |= self._ask({index: ("reset", {"seed": seeds[index], "options": given}) for index in rest})
        infos = no_infos(env)
        for index, (_, info) in answers.items():
            infos[index] = info
        return self._observations(answers), infos

    def step(self, actions: Any, mask: BoolArray) -> VectorResults:
        env: Any = self.env
        own = list(iterate(env.action_space, actions))
        answers = self._ask({index: ("step", own[index]) for index in np.flatnonzero(mask).tolist()})
        rewards, infos = np.zeros(env.num_envs), no_infos(env)
        terminated, truncated = np.zeros(env.num_envs, dtype=bool), np.zeros(env.num_envs, dtype=bool)
        for index, (_, *said, infos[index]) in answers.items():
            rewards[index], terminated[index], truncated[index] = said
        self._note_ends(answers)
        return VectorResults(self._observations(answers), rewards, terminated, truncated, infos)

    def to_blame(self, mask: BoolArray) -> BoolArray:
        pipes = self.env.parent_pipes  # type: ignore[attr-defined]  # it is an AsyncVectorEnv
        lost = mask & np.array([pipe is None for pipe in pipes])
        return lost if lost.any() else mask

    def get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        self._check_known(name, indices)
        return self._ask_each(indices, lambda _: ("_call", (name, (), {})))

    def set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        wanted = dict(zip(indices, values, strict=True))
        self._ask_each(indices, lambda index: ("_setattr", (name, wanted[index])))

    def call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        self._check_known(name, indices)
        return self._ask_each(indices, lambda _: ("_call", (name, args, kwargs)))

    def _check_known(self, name: str, indices: Sequence[int]) -> None:
        """Check that the copies have an attribute, because a worker asked for a missing one would exit."""
        has = self._ask_each(indices, lambda _: ("_call", ("has_wrapper_attr", (name,), {})))
        if not all(has):
            raise AttributeError(f"the environments of {self.env} have no attribute {name!r}")

    def _ask_each(self, indices: Sequence[int], question: Callable[[int], tuple[str, Any]]) -> list[Any]:
        answers = self._ask({index: question(index) for index in indices})
        return [answers[index] for index in indices]

    def _note_ends(self, answers: Mapping[int, Any]) -> None:
        """Note which workers will treat the next step as a reset, from their answers to steps."""
        env: Any = self.env
        if env.autoreset_mode is AutoresetMode.NEXT_STEP and not env.shared_memory:
            for index, (_, _, terminated, truncated, _) in answers.items():
                self._due[index] |= bool(terminated or truncated)

    def _reset_by_step(self, due: BoolArray) -> dict[int, Any]:
        """Step workers that treat the next step as a reset.

        Without shared memory they do so even after ``"reset"``, and would begin a second episode.
        """
        actions = list(iterate(self.env.action_space, self.env.action_space.sample())) if due.any() else []
        answers = self._ask({index: ("step", actions[index]) for index in np.flatnonzero(due).tolist()})
        self._due &= ~due
        return {index: (observation, info) for index, (observation, _, _, _, info) in answers.items()}

    def _ask(self, questions: Mapping[int, tuple[str, Any]]) -> dict[int, Any]:
        """Send each worker its question, and return the answers.

        Raises:
            EnvClosedError: If a worker has died. No worker was asked if that was known before.
        """
        env: Any = self.env
        env._assert_is_running()  # noqa: SLF001 - as its own methods do
        self._check_alive(questions)
        self._follow_late(questions)
        for index, question in questions.items():
            with self._losing(index):
                env.parent_pipes[index].send(question)
                self._owing[index] = question[0]
        answers = self._receive([index for index in questions if index in self._owing])
        self._check_alive(questions)
        return answers

    def _follow_late(self, asked: Iterable[int]) -> None:
        """Receive answers left over from an interrupt, or from a question that could not be sent."""
        late = {index: self._owing[index] for index in asked if index in self._owing}
        answers = self._receive(late)
        self._note_ends({index: answer for index, answer in answers.items() if late[index] == "step"})

    def _receive(self, indices: Iterable[int]) -> dict[int, Any]:
        """Receive the answers of all these workers, so that no later question gets an answer to this one."""
        env: Any = self.env
        answers, successes = {}, [True] * env.num_envs
        for index in indices:
            with self._losing(index):
                answers[index], successes[index] = env.parent_pipes[index].recv()
            del self._owing[index]
        env._raise_if_errors(successes)  # noqa: SLF001 - it knows what the workers have raised
        self._check_alive(indices)
        return answers

    @contextmanager
    def _losing(self, index: int) -> Iterator[None]:
        """Note a worker that has died."""
        env: Any = self.env
        try:
            yield
        except (EOFError, OSError):
            env.parent_pipes[index] = None  # as it does itself with one that has raised

    def _check_alive(self, asked: Iterable[int]) -> None:
        pipes = self.env.parent_pipes  # type: ignore[attr-defined]  # it is an AsyncVectorEnv
        if lost := [index for index in asked if pipes[index] is None or pipes[index].closed]:
            raise EnvClosedError(
                f"the workers of copies {lost} have ended, and {self.env} starts no others: make a new one, or use "
                "heron.make_vec(..., backend='process'), whose workers can be restarted"
            )

    def _observations(self, answers: Mapping[int, Any]) -> Any:
        env: Any = self.env
        if not env.shared_memory:
            for index, (observation, *_) in answers.items():
                write(env.observations, index, observation)
        return env.observations
