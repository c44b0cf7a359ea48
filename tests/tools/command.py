"""The project's tools, called in this process: importing torch and MMDetection anew takes seconds each time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from importlib import util
from types import ModuleType
from unittest import mock

from mmengine.logging import MMLogger

from tests.tools.small_run import ROOT
from xemap.cli import run


def load_tool(name: str) -> ModuleType:
    """The tool ``name.py``, wherever it lies below ``tools/``."""
    (path,) = ROOT.glob(f'tools/**/{name}.py')
    spec = util.spec_from_file_location(f'tools_{name}', path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(name: str, *words: object, columns: int = 200) -> subprocess.CompletedProcess:
    """Status and output of a tool, as ``subprocess.run`` gives them for a command line."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, 'argv', [f'{name}.py', *map(str, words)]),
        mock.patch.dict(os.environ, COLUMNS=str(columns)),
        mock.patch.dict(MMLogger._instance_dict, clear=True),  # loggers of other tests write to where stdout was then
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        tool = load_tool(name)
        try:
            status = run(lambda _: tool.main(tool.parse_args()), Namespace(debug='--debug' in words))
        except SystemExit as end:  # of argparse
            status = end.code
    return subprocess.CompletedProcess(sys.argv, status, out.getvalue(), err.getvalue())


def start_tool(name: str, *words: object, columns: int = 200) -> subprocess.CompletedProcess:
    """The same in a process of its own, as a user starts it."""
    (path,) = ROOT.glob(f'tools/**/{name}.py')
    command = [sys.executable, str(path), *map(str, words)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'COLUMNS': str(columns)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


def heavy_imports_of_help(name: str, *modules: str) -> tuple[str, list[str]]:
    """What ``--help`` prints, and which of the modules it imports."""
    (path,) = ROOT.glob(f'tools/**/{name}.py')
    code = (
        f"import sys, runpy; sys.argv = ['{name}.py', '--help']; sys.path.insert(0, '{ROOT}/tools')\n"
        f"try: runpy.run_path('{path}', run_name='__main__')\n"
        f"finally: print('IMPORTED', *[m for m in {modules} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    text, _, imported = done.stdout.rpartition('IMPORTED')
    return text, imported.split()
