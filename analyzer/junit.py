"""JUnit's XML, as Jenkins, GitLab and GitHub's actions read it. There is no standard: this keeps to what all of them take."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from analyzer.check import Checked
from analyzer.expect import sample_text
from analyzer.expectation import Outcome
from analyzer.text import printable

_SUITE = "bpftape"


def junit_xml(done: Sequence[Checked], recordings: Sequence[str]) -> str:
    """Return a document with one test case an expectation.

    What is unknown is an error there, not skipped: most consumers take a skipped test for a good one. XML cannot have control characters: they
    are escaped as on a terminal.
    """
    failures = sum(checked.outcome == Outcome.FAIL for checked in done)
    errors = sum(checked.outcome in (Outcome.UNKNOWN, Outcome.ERROR) for checked in done)
    counts = {
        "name": _SUITE,
        "tests": str(len(done)),
        "failures": str(failures),
        "errors": str(errors),
        "time": f"{sum(checked.seconds for checked in done):.3f}",
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", counts | {"skipped": "0"})
    properties = ET.SubElement(suite, "properties")
    for name in recordings:
        ET.SubElement(properties, "property", {"name": "recording", "value": printable(name)})
    for checked in done:
        _add_case(suite, checked)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=False).join(('<?xml version="1.0" encoding="UTF-8"?>\n', "\n"))


def _add_case(suite: ET.Element, checked: Checked) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": _SUITE, "name": printable(checked.name), "time": f"{checked.seconds:.3f}"})
    if checked.outcome != Outcome.PASS:
        kind = "failure" if checked.outcome == Outcome.FAIL else "error"
        found = ET.SubElement(case, kind, {"message": printable(checked.why), "type": checked.outcome.value})
        found.text = "\n".join(filter(None, [sample_text(checked, None) if checked.sample else "", *checked.excerpt.splitlines(), *checked.lines]))
    elif checked.lines:
        ET.SubElement(case, "system-out").text = "\n".join(checked.lines)
