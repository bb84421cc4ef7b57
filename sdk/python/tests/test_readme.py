"""The example of the README does what it says."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

from lockstep import NotFound
from support import Case, until

FOLDER = pathlib.Path(__file__).resolve().parents[1]


class Readme(Case):
    def test_the_ten_lines_are_a_worker(self) -> None:
        text = (FOLDER / "README.md").read_text(encoding="utf-8")
        code = text.split("```python\n")[1].split("```")[0]
        self.assertIn('Client("http://127.0.0.1:5980")', code)
        code = code.replace("http://127.0.0.1:5980", self.client.url)
        env = {**os.environ, "PYTHONPATH": str(FOLDER / "src")}
        env["LOCKSTEP_NAMESPACE"] = self.client.namespace
        process = subprocess.Popen([sys.executable, "-c", code], env=env)
        self.addCleanup(process.kill)
        until(self.is_done)
        self.assertEqual(self.client.unit("greet", "alice")["data"], {"said": "hello alice"})
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)

    def is_done(self) -> bool:
        try:
            return self.client.counts("greet").get("finished") == 1
        except NotFound:
            # The example has not come that far yet.
            return False
