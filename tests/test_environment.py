"""Device, commit and versions."""

from __future__ import annotations

import subprocess

import pytest
import torch

from xemap import environment
from xemap.environment import choose_device, describe_environment
from xemap.errors import ConfigError


def test_commit_is_the_checkout_s():
    described = describe_environment('cpu')
    git = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=environment.ROOT, capture_output=True, text=True)
    assert described['commit'] == (git.stdout.strip() if git.returncode == 0 else None)
    assert described['cpu_count'] >= 1 and described['device_name']
    assert described['versions']['torch'] == torch.__version__ and None not in described['versions'].values()


def test_no_commit_without_git_or_in_another_repository(monkeypatch, tmp_path):
    subprocess.run(['git', 'init', '-q', tmp_path], check=True)
    commit = ['-c', 'user.name=a', '-c', 'user.email=b', 'commit', '-q', '--allow-empty', '-m', 'c']
    subprocess.run(['git', '-C', tmp_path, *commit], check=True)
    monkeypatch.setattr(environment, 'ROOT', tmp_path)
    assert len(describe_environment('cpu')['commit']) == 40
    package = tmp_path / 'site-packages'
    package.mkdir()
    monkeypatch.setattr(environment, 'ROOT', package)
    assert describe_environment('cpu')['commit'] is None
    monkeypatch.setenv('PATH', '')
    assert describe_environment('cpu')['uncommitted_changes'] is None


def test_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert choose_device('auto') == choose_device('cpu') == 'cpu'
    with pytest.raises(ConfigError, match='device "cuda": torch sees no GPU'):
        choose_device('cuda')
    with pytest.raises(ConfigError, match='device "tpu" is unknown'):
        choose_device('tpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert choose_device('auto') == choose_device('cuda') == 'cuda'
