"""Checks that belong together, as jobs, so that whoever waits sees how far they are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from heron.testing.findings import Findings, NamedCheck, outcome, promise_of


@dataclass(frozen=True)
class Section:
    """What is checked of one thing.

    Attributes:
        title: What is checked.
        promises: The name of every check -> what it checks, in one line.
        jobs: To be called one after the other; each puts what it finds into ``findings``.
        findings: What has been found.
        skipped: Why nothing is checked.
    """

    title: str
    promises: Mapping[str, str]
    jobs: tuple[Callable[[], object], ...]
    findings: Findings = field(default_factory=Findings)
    skipped: str = ""

    @classmethod
    def of_suite(cls, title: str, checks: Iterable[NamedCheck], *arguments: Any) -> "Section":
        """A suite of checks that are called with the same arguments."""
        checks = tuple(checks)
        findings = Findings()

        def run(check: NamedCheck) -> None:
            if (found := outcome(check, *arguments)) is not None:
                findings.add(found)

        promises = {check.__name__: promise_of(check) for check in checks}
        return cls(title, promises, tuple(partial(run, check) for check in checks), findings)

    @classmethod
    def left_out(cls, title: str, why: str) -> "Section":
        """A section that cannot be checked."""
        return cls(title, {}, (), skipped=why)

    def run(self) -> Findings:
        """Do all jobs."""
        for job in self.jobs:
            job()
        return self.findings
