"""`make audit`: published advisories on the versions that are pinned."""

from __future__ import annotations

import json
import subprocess
import sys

NOTHING = "the service of advisories cannot be reached: nothing was audited"


def main(constraints: str) -> int:
    """Audit the versions in a file of constraints, and print what was found.

    The status is 0 without an advisory, 1 with one, and 2 if nothing could be audited.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", constraints, "--no-deps"]
    done = subprocess.run(
        [*command, "--disable-pip", "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
    )
    status, lines = findings(done.stdout)
    print("\n".join(lines))
    if status == 2:
        print(done.stderr.strip()[-500:], file=sys.stderr)
    return status


def findings(report: str) -> tuple[int, list[str]]:
    """The status and the lines to print for a report of pip-audit in JSON."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return 2, [NOTHING]
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        return 2, [NOTHING]
    lines = [
        f"{package['name']} {package['version']}: {advisory['id']}, "
        f"mended in {', '.join(advisory['fix_versions']) or 'no version'}"
        for package in audited
        for advisory in package["vulns"]
    ]
    skipped = [package["name"] for package in packages if "vulns" not in package]
    unknown = f"; unknown to the service: {', '.join(skipped)}" if skipped else ""
    return (1 if lines else 0), [
        *lines,
        f"{len(lines)} advisories on {len(audited)} packages{unknown}",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
