"""What `make audit` makes of the registries' answers: nothing passes as audited that was not."""

from __future__ import annotations

from datetime import date

import pytest

from scripts.trust.audit import IGNORED, Answer, Ignored, of_npm_audit, of_pip_audit, read_ignored, verdict

TODAY = date(2026, 12, 1)
FOUND = {
    "dependencies": [
        {"name": "jinja2", "version": "3.1.0", "vulns": [
            {"id": "PYSEC-2024-1", "fix_versions": ["3.1.3"], "aliases": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"]},
        ]},
        {"name": "idna", "version": "3.10", "vulns": []},
    ]
}  # fmt: skip
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "lodash": {"name": "lodash", "via": [
            {"source": 1, "name": "lodash", "title": "Prototype Pollution", "range": "<4.17.19",
             "url": "https://github.com/advisories/GHSA-p6mc-m468-83gw"},
        ]},
        "of-lodash": {"name": "of-lodash", "via": ["lodash"]},
    },
}  # fmt: skip


def test_answers_without_advisories_pass() -> None:
    answers = [Answer("PyPI about a.lock", 3, 0, ()), of_npm_audit("npm about b.lock", 5, {"vulnerabilities": {}})]
    assert verdict(answers, [], TODAY) == (
        ["PyPI about a.lock: answered for 3 of 3 packages", "npm about b.lock: answered for 5 of 5 packages"],
        0,
    )


def test_open_advisory_fails() -> None:
    lines, code = verdict([of_pip_audit("PyPI", FOUND), of_npm_audit("npm", 2, NPM)], [], TODAY)
    assert code == 1
    assert "  OPEN: jinja2 3.1.0: CVE-2024-22195, GHSA-h5c8-rqwp-cp95, PYSEC-2024-1, fixed in 3.1.3" in lines
    assert [line for line in lines if "lodash" in line] == [
        "  OPEN: lodash <4.17.19: GHSA-p6mc-m468-83gw, Prototype Pollution"
    ]


@pytest.mark.parametrize(("until", "code"), [(date(2026, 12, 1), 0), (date(2026, 11, 30), 1)])
def test_advisory_is_passed_over_until_its_day(until: date, code: int) -> None:
    ignored = [Ignored("CVE-2024-22195", "no template of a user is rendered", until)]
    lines, got = verdict([of_pip_audit("PyPI", FOUND)], ignored, TODAY)
    assert got == code
    assert ("no template of a user is rendered" in lines[1]) is (code == 0)
    assert ("which is over" in lines[1]) is (code == 1)


def test_packages_that_nobody_answered_for_are_an_error_of_their_own() -> None:
    """A mirror without advisories: pip-audit skips every package and ends with 0, npm says 405."""
    skipped = {"dependencies": [{"name": "a", "skip_reason": "Dependency not found on PyPI"}]}
    refused = {"message": "405 Method Not Allowed", "statusCode": 405}
    lines, code = verdict([of_pip_audit("PyPI", skipped), of_npm_audit("npm", 7, refused)], [], TODAY)
    assert code == 2
    assert lines == [
        "PyPI: answered for 0 of 1 packages",
        "  NOT AUDITED: 1 packages (Dependency not found on PyPI)",
        "npm: answered for 0 of 7 packages",
        "  NOT AUDITED: 7 packages (405 Method Not Allowed)",
    ]


def test_open_advisory_counts_more_than_a_missing_answer() -> None:
    assert verdict([of_pip_audit("PyPI", FOUND), Answer("npm", 1, 1, ())], [], TODAY)[1] == 1


def test_committed_entries_are_whole() -> None:
    assert all(one.reason for one in read_ignored(IGNORED.read_text()))
    example = IGNORED.read_text().replace("# [[", "[[").replace("# id", "id").replace("# reason", "reason")
    [entry] = read_ignored(example.replace("# until", "until").partition(":\n#\n")[2])
    assert entry.until == date(2027, 1, 31)
    with pytest.raises(TypeError, match="until"):
        read_ignored('[[ignored]]\nid = "x"\nreason = "y"')
