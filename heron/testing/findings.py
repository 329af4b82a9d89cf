"""What checks find: records that say what fails, how, where, and how to mend it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from heron.errors import ContractError


@dataclass(frozen=True, slots=True)
class Where:
    """Where something was found, as far as that is known.

    Attributes:
        env_id: The copy.
        agent: The agent.
        seed: The seed of the episode; None where a reset had none.
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
    """One thing that a check found.

    Attributes:
        check: The check's name.
        problem: What is wrong, in words that hold wherever it was found.
        detail: How: what was expected and what came, where it was found first.
        where: Where it was found first.
        fix: How to mend it.
        times: How often it was found.
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
    """A collection in which the same problem of the same check stands once, with its first place and a count."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}

    def add(self, finding: Finding) -> None:
        """Take a finding in."""
        key = (finding.check, finding.problem)
        known = self._found.get(key)
        self._found[key] = finding if known is None else replace(known, times=known.times + finding.times)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Take several in."""
        for finding in findings:
            self.add(finding)

    def of(self, check: str) -> list[Finding]:
        """What one check found."""
        return [finding for finding in self._found.values() if finding.check == check]

    @property
    def all(self) -> tuple[Finding, ...]:
        """Everything, in the order in which it was found first."""
        return tuple(self._found.values())

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Everything that breaks a promise."""
        return tuple(finding for finding in self._found.values() if finding.is_error)


def raise_if_broken(subject: str, findings: Sequence[Finding]) -> None:
    """Raise if any finding breaks a promise.

    Raises:
        ContractError: With all findings, those that are mere remarks included.
    """
    errors = [finding for finding in findings if finding.is_error]
    if errors:
        lines = "\n".join(f"- {finding}" for finding in errors)
        raise ContractError(f"{subject} breaks {len(errors)} of its promises:\n{lines}", tuple(findings))


class NamedCheck(Protocol):
    """One check of a suite; its name and docstring say what it checks."""

    __name__: str
    __doc__: str | None

    def __call__(self, *arguments: Any) -> None:
        """Raise an ``AssertionError`` if a promise is broken."""


def promise_of(check: NamedCheck) -> str:
    """What a check checks, in one line."""
    return (check.__doc__ or check.__name__).strip().splitlines()[0].rstrip(".")


def outcome(check: NamedCheck, *arguments: Any) -> Finding | None:
    """Run one check of a suite; what it found, if it found anything."""
    try:
        check(*arguments)
    except AssertionError as error:
        detail = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a user's part raises is what was found
        detail = f"{type(error).__name__}: {error}"
    else:
        return None
    return Finding(check.__name__, promise_of(check), f"not so: {detail}")


def run_suite(subject: str, checks: Iterable[NamedCheck], *arguments: Any) -> None:
    """Run all checks with the same arguments, also after one that fails.

    Raises:
        ContractError: With all that they found.
    """
    raise_if_broken(subject, [found for check in checks if (found := outcome(check, *arguments)) is not None])
