# SPDX-License-Identifier: Apache-2.0
"""The program eas-kcd-check, run once, and what it says."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping

from .gateway import TOP

PROGRAM = TOP / "eas-kcd-check"


@dataclass(frozen=True)
class Report:
    status: int
    steps: list[dict[str, Any]]
    text: str

    @property
    def findings(self) -> list[str]:
        """Their names, in the order of the steps."""
        return [step["finding"] for step in self.steps if "finding" in step]

    def step(self, name: str, subject: str | None = None) -> dict[str, Any]:
        found = [step for step in self.steps
                 if step["step"] == name and subject in (None, step["subject"])]
        assert len(found) == 1, (name, self.text)
        return found[0]


def run(args: Iterable[object], krb5_conf: Path, password: str | None = None,
        env: Mapping[str, str] | None = None,
        within: Iterable[str] = ()) -> "subprocess.CompletedProcess[str]":
    """*within* is a command that runs the program."""
    return subprocess.run([*within, str(PROGRAM), *map(str, args)], text=True, timeout=60,
                          input=f"{password}\n" if password is not None else "",
                          capture_output=True,
                          env=os.environ | {"KRB5_CONFIG": str(krb5_conf), "LC_ALL": "C.UTF-8",
                                            **(env or {})})


def report(args: Iterable[object], krb5_conf: Path, **more: Any) -> Report:
    done = run([*args, "--json"], krb5_conf, **more)
    assert done.stderr == "" and done.returncode in (0, 1), (done.stderr, done.stdout)
    answer = json.loads(done.stdout)
    assert answer["passed"] == (done.returncode == 0)
    return Report(done.returncode, answer["steps"], done.stdout)
