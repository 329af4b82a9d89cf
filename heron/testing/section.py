"""A group of checks as a list of jobs, so that progress can be shown."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from heron.testing.findings import Check, Findings, name_of, outcome, promise_of


def promises_of(checks: Iterable[Check[Any, Any]]) -> dict[str, str]:
    """Return the promise of each check, by the name of the check."""
    return {name_of(check): promise_of(check) for check in checks}


@dataclass(frozen=True)
class Section:
    """The checks of one subject.

    Attributes:
        title: Name of the subject.
        promises: Name of each check -> its promise, in one line.
        jobs: Functions to call one after the other; each adds to ``findings``.
        findings: Findings so far.
        skipped: Reason why the subject cannot be checked.
    """

    title: str
    promises: Mapping[str, str]
    jobs: tuple[Callable[[], object], ...]
    findings: Findings = field(default_factory=Findings)
    skipped: str = ""

    @classmethod
    def of_suite(cls, title: str, checks: Iterable[Check[Any, Any]], *arguments: Any) -> "Section":
        """Make a section of checks that are called with the same arguments."""
        checks = tuple(checks)
        findings = Findings()

        def run(check: Check[Any, Any]) -> None:
            if (found := outcome(check, *arguments)) is not None:
                findings.add(found)

        return cls(title, promises_of(checks), tuple(partial(run, check) for check in checks), findings)

    @classmethod
    def left_out(cls, title: str, why: str) -> "Section":
        """Make a section for a subject that cannot be checked."""
        return cls(title, {}, (), skipped=why)

    def run(self) -> Findings:
        """Run all jobs and return the findings."""
        for job in self.jobs:
            job()
        return self.findings
