"""Tables of the results of ``heron check``."""

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from heron.testing.findings import Finding
from heron.testing.section import Section

_MANY = 15
"""A section with more checks is shown as one line, followed by the checks that found something."""


def overview(sections: Sequence[Section], title: str) -> Table:
    """Return a table of all checks and their results."""
    table = Table(title=escape(title), title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("description")
    table.add_column("result", no_wrap=True)
    for section in sections:
        table.add_section()
        if section.skipped:
            table.add_row(f"[bold]{escape(section.title)}[/bold]", escape(section.skipped), "skipped")
            continue
        table.add_row(f"[bold]{escape(section.title)}[/bold]", f"{len(section.promises)} checks", _verdict(section))
        for name in _listed_checks(section):
            table.add_row(escape(name), escape(section.promises[name]), _result(section.findings.of(name)))
    return table


def findings_table(findings: Iterable[Finding]) -> Table:
    """Return a table of all findings: what fails, where, how often, and how to fix it."""
    table = Table(title="Findings", title_justify="left", show_lines=True)
    for header in ("check", "problem and fix", "first seen", "times"):
        table.add_column(header, justify="right" if header == "times" else "left")
    for finding in sorted(findings, key=lambda finding: not finding.is_error):
        detail = f": {finding.detail}" if finding.detail else ""
        what = escape(f"{finding.problem}{detail}")
        fix = f"\n[italic]{escape(finding.fix)}[/italic]" if finding.fix else ""
        table.add_row(
            f"{_result([finding])} {escape(finding.check)}", what + fix, str(finding.where), str(finding.times)
        )
    return table


def _listed_checks(section: Section) -> list[str]:
    if len(section.promises) < _MANY and "seeds" in section.promises:
        return list(section.promises)
    return [name for name in section.promises if section.findings.of(name)]


def _verdict(section: Section) -> str:
    failed = sum(any(finding.is_error for finding in section.findings.of(name)) for name in section.promises)
    return f"[red]{failed} fail[/red]" if failed else "[green]ok[/green]"


def _result(findings: Sequence[Finding]) -> str:
    if any(finding.is_error for finding in findings):
        return "[red]FAILS[/red]"
    return "[yellow]remark[/yellow]" if findings else "[green]ok[/green]"
