"""Nothing is unpickled or evaluated, and advisories are told of."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from benchmarks.reliability.audit import findings

ROOT = Path(__file__).parents[1]
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "torch.load", "torch.jit.load", "pd.read_pickle"}


def dangers(source: str) -> list[str]:
    """The imports and calls in Python source that could run what a file says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in UNPICKLING]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLING:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            unsafe = any(
                each.arg == "allow_pickle" and ast.unparse(each.value) != "False"
                for each in node.keywords
            )
            if name in CALLS or unsafe:
                found.append(name)
    return found


@pytest.mark.parametrize("part", ["oneshot_cli", "benchmarks", "checkpoints", "docs"])
def test_nothing_is_unpickled(part: str) -> None:
    files = sorted((ROOT / part).rglob("*.py"))
    assert files
    assert [(path, found) for path in files if (found := dangers(path.read_text("utf-8")))] == []


def test_unpickling_would_be_found() -> None:
    assert dangers("import pickle") == ["pickle"]
    assert dangers("x = torch.load(p, weights_only=False)") == ["torch.load"]
    assert dangers("np.load(p, allow_pickle=True)") == ["np.load"]


def test_an_audit_says_what_it_knows_and_what_not() -> None:
    vulnerable = {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}
    good = {"name": "b", "version": "1", "vulns": []}
    skipped = {"name": "c", "skip_reason": "not found"}
    assert findings(json.dumps({"dependencies": [good, vulnerable]}))[0] == 1
    status, lines = findings(json.dumps({"dependencies": [good, skipped]}))
    assert (status, lines) == (0, ["0 advisories on 1 packages; unknown to the service: c"])
    for nothing in (json.dumps({"dependencies": [skipped]}), "", "[]"):
        status, lines = findings(nothing)
        assert status == 2
        assert "nothing was audited" in lines[0]
