"""Results of checks: what fails, where, and how to fix it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Protocol, TypeVar

from heron.errors import ContractError, summary

_Make_contra = TypeVar("_Make_contra", contravariant=True)
_Option_contra = TypeVar("_Option_contra", contravariant=True)


class Check(Protocol[_Make_contra, _Option_contra]):
    """One check of a suite: a function ``check_...`` whose docstring states the promise in its first line.

    All suites (``BATCH_ENV_CHECKS``, ``BROKER_CHECKS``, ``ENV_CHECKS``, ``VIEW_CHECKS``) are tuples of these.
    """

    __name__: str
    __doc__: str | None

    def __call__(self, make: _Make_contra, option: _Option_contra = ..., /) -> None:
        """Check what ``make`` makes.

        Args:
            make: Makes a new subject at each call.
            option: One option of the suite: a number of steps, limits, a plan.

        Raises:
            AssertionError: If the promise is broken.
        """


@dataclass(frozen=True, slots=True)
class Where:
    """Place of a finding, as far as it is known.

    Attributes:
        env_id: The copy.
        agent: The agent.
        seed: The seed of the episode; None if its reset had no seed.
        step: The environment step; 0 is the reset.
    """

    env_id: str | None = None
    agent: str | None = None
    seed: int | None = None
    step: int | None = None

    def __str__(self) -> str:
        parts = [self.env_id or ""]
        parts += [f"agent {self.agent!r}" if self.agent is not None else ""]
        parts += [f"seed {self.seed}" if self.seed is not None else ""]
        if self.step is not None:
            parts.append(f"step {self.step}" if self.step else "at the reset")
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem that a check found.

    Attributes:
        check: Name of the check, without ``check_``.
        problem: Description of the problem, the same wherever it occurs.
        detail: Expected and actual values at the first occurrence.
        where: Place of the first occurrence.
        fix: Advice on how to fix it.
        times: Number of occurrences.
        is_error: False for a remark, which breaks no promise.
    """

    check: str
    problem: str
    detail: str = ""
    where: Where = field(default_factory=Where)
    fix: str = ""
    times: int = 1
    is_error: bool = True

    def __str__(self) -> str:
        place = str(self.where)
        detail = f": {self.detail}" if self.detail else ""
        often = f" [{self.times} times]" if self.times > 1 else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{self.check}: {self.problem}{detail}{f' ({place})' if place else ''}{often}{fix}"


class Findings:
    """A collection of findings, in which a repeated problem counts once, with its first place and a count."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        key = (finding.check, finding.problem)
        known = self._found.get(key)
        self._found[key] = finding if known is None else replace(known, times=known.times + finding.times)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add several findings."""
        for finding in findings:
            self.add(finding)

    def of(self, check: str) -> list[Finding]:
        """Return the findings of one check."""
        return [finding for finding in self._found.values() if finding.check == check]

    @property
    def all(self) -> tuple[Finding, ...]:
        """All findings, in the order of their first occurrence."""
        return tuple(self._found.values())

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that break a promise."""
        return tuple(finding for finding in self._found.values() if finding.is_error)


def raise_if_broken(subject: str, findings: Sequence[Finding]) -> None:
    """Raise an error if any finding breaks a promise.

    Raises:
        ContractError: With all findings, including remarks.
    """
    errors = [finding for finding in findings if finding.is_error]
    if errors:
        lines = "\n".join(f"- {finding}" for finding in errors)
        raise ContractError(f"{subject} breaks {len(errors)} of its promises:\n{lines}", tuple(findings))


def checks_in(*modules: ModuleType) -> tuple[Check[Any, Any], ...]:
    """Return the checks that modules define: their functions ``check_...``, in order."""
    return tuple(
        value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("check_") and value.__module__ == module.__name__
    )


@contextmanager
def expect_error(kind: type[Exception], promise: str) -> Iterator[None]:
    """Fail with the promise unless the block raises an error of this kind."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise AssertionError(f"{promise}: expected {kind.__name__}, got {error!r}") from error
    raise AssertionError(f"{promise}: expected {kind.__name__}, but no error was raised")


def name_of(check: Check[Any, Any]) -> str:
    """Return the name of a check, without ``check_``."""
    return check.__name__.removeprefix("check_")


def promise_of(check: Check[Any, Any]) -> str:
    """Return the promise that a check is about, in one line."""
    return (check.__doc__ or name_of(check)).strip().splitlines()[0].rstrip(".")


def outcome(check: Check[Any, Any], *arguments: Any) -> Finding | None:
    """Run one check and return its finding; None if the promise is kept."""
    try:
        check(*arguments)
    except AssertionError as error:
        detail = str(error)
    except Exception as error:  # noqa: BLE001 - an error of the user's part is a finding
        detail = summary(error)
    else:
        return None
    return Finding(name_of(check), promise_of(check), f"broken: {detail}")


def run_suite(subject: str, checks: Iterable[Check[Any, Any]], *arguments: Any) -> None:
    """Run all checks with the same arguments, including those after a failure.

    Raises:
        ContractError: With every finding.
    """
    raise_if_broken(subject, [found for check in checks if (found := outcome(check, *arguments)) is not None])
