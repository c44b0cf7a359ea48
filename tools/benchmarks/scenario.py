"""The paper's timed comparison: 1,129 queries on 300 images, by a network and by sliding windows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from benchmarks.model import build_model, distinct_texts
from xemap.models import build_localizer
from xemap.models.build import quiet
from xemap.models.localizers import Localizer

ALL_QUERIES, ALL_IMAGES, SIDE = 1129, 300, 2000
IMAGES = (ALL_IMAGES, 3)
"""Number of images for the network, and for each SeLo."""
GROUP = 16
"""Images handed to a localizer at a time."""
CLIP = dict(type='OpenCLIPRetrieval', name='ViT-L-14', weights=None)
"""Its weights are random: they change no speed."""
SELO = {
    'selo_v1': dict(type='SeLoV1Generator', scales=(256, 512, 768)),
    'selo_v2': dict(type='SeLoV2Generator'),
}


def benchmark_scenario(
    cfg: Config,
    device: str,
    images: int = ALL_IMAGES,
    selo_images: int = IMAGES[1],
    side: int = SIDE,
    retrieval: dict = CLIP,
    seed: int = 0,
) -> dict[str, Any]:
    """Answer the queries with the config's network, and with SeLo v1 and v2 on a retrieval model.

    Args:
        cfg: config of the network.
        device: where all models run.
        images: number of images for the network.
        selo_images: number of images for each SeLo, which takes a hundred times longer.
        side: side of an image, pixels.
        retrieval: SeLo's retrieval model.
        seed: seed of weights, images and texts.

    Returns:
        for each of ``methods``: ``images`` and ``queries`` answered, and, extrapolated to all
        300 images, ``seconds`` from image to answer, and ``model_seconds`` of them in the network, or in the
        retrieval model; ``over_network``: ratio of its ``seconds`` and ``model_seconds`` to the network's.
    """
    torch.manual_seed(seed)
    network = build_model(cfg, device)
    methods = {'network': time_answers(network, images, side, device, seed)}
    del network
    for name, generator in SELO.items():
        with quiet():
            model: Any = dict(type='SeLoLocalizer', retrieval=retrieval, generator=generator)
            localizer = build_localizer(Config(dict(model=model)), device=device)
        methods[name] = time_answers(localizer, selo_images, side, device, seed)
    reference = methods['network']
    for row in methods.values():
        row['over_network'] = {kind: row[kind] / reference[kind] for kind in ('seconds', 'model_seconds')}
    return {'side': side, 'methods': methods}


def queries_of(image: int) -> int:
    """Queries of one of the 300 images, spread evenly."""
    return (image + 1) * ALL_QUERIES // ALL_IMAGES - image * ALL_QUERIES // ALL_IMAGES


def time_answers(localizer: Localizer, number: int, side: int, device: str, seed: int) -> dict[str, Any]:
    pool = distinct_texts(GROUP * 4, seed)
    localizer.localize(*next(_groups(1, side, pool, seed)))  # warm-up
    localizer.reset_stage_seconds()
    inside = _Stopwatch(localizer, device)
    start, queries = time.perf_counter(), 0
    for images, texts in _groups(number, side, pool, seed):
        queries += sum(map(len, texts))
        localizer.localize(images, texts)
    seconds = time.perf_counter() - start
    inside.remove()
    model_seconds = localizer.stage_seconds.get('similarity', inside.seconds)
    scale = ALL_IMAGES / number
    return {
        'images': number, 'queries': queries, 'seconds': scale * seconds, 'model_seconds': scale * model_seconds,
    }  # fmt: skip


def _groups(
    number: int, side: int, pool: Sequence[str], seed: int
) -> Iterator[tuple[list[np.ndarray], list[list[str]]]]:
    """Images of noise, a group at a time, with their queries, texts of ``pool`` in turn."""
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    for first in range(0, number, GROUP):
        chosen = range(first, min(first + GROUP, number))
        texts = [[pool[(4 * i + q) % len(pool)] for q in range(queries_of(i))] for i in chosen]
        yield [np.roll(noise, i, axis=0) for i in chosen], texts


class _Stopwatch:
    """Seconds inside a module's ``forward``."""

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        self.seconds, self.device = 0.0, device
        self._hooks = [
            module.register_forward_pre_hook(lambda *_: self._add(-1)),
            module.register_forward_hook(lambda *_: self._add(1)),
        ]

    def _add(self, sign: int) -> None:
        if self.device == 'cuda':
            torch.cuda.synchronize()
        self.seconds += sign * time.perf_counter()

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()
