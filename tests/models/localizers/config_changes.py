"""In which settings a config differs from another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xemap.engine import load_config

GONE = '(gone)'


def changes(path: Path, base: Path) -> dict[str, Any]:
    """Settings of a config that its base does not have so, by their place; :data:`GONE` for what it does not have."""
    before, after = _settings(load_config(base).to_dict()), _settings(load_config(path).to_dict())
    places = [place for place in before.keys() | after.keys() if before.get(place, GONE) != after.get(place, GONE)]
    filled = {place for place in places if before.get(place) == {} and place not in after}  # now has settings
    return {place: after.get(place, GONE) for place in places if place not in filled}


def _settings(part: Any, path: str = '') -> dict[str, Any]:
    """Every leaf of a config by its place; an empty dictionary is a leaf."""
    if isinstance(part, dict) and part:
        dot = f'{path}.' if path else ''
        return {k: v for name, value in part.items() for k, v in _settings(value, f'{dot}{name}').items()}
    return {path: part}
