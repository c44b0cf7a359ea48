"""Writing exported models, and checking each against the model that it came from."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xemap import __version__
from xemap.datasets.transforms import Letterbox
from xemap.errors import ConfigError
from xemap.export.halves import halves_of
from xemap.export.modules import ExportModule, ImageSide, QuerySide, WholeNetwork, exportable
from xemap.files import replacing, write_json, write_text

FORMATS = {
    'pt2': 'model.pt2',
    'onnx': 'model.onnx',
    'image-onnx': 'image_encoder.onnx',
    'query-onnx': 'query_decoder.onnx',
}
"""Format to file name."""

TOLERANCE = 1e-4
"""Largest difference between an exported model's output and the original's; float32 with another order of sums."""

RESIZE = {'shrinks': 'area', 'grows': 'linear'}
"""What :func:`xemap.raster.resize.resize` does along each side, by the names of OpenCV's interpolations."""

OPSET = 17
"""Version of the ONNX operators; grid_sample needs 16."""

MAX_QUERIES = 1024
MAX_IMAGES = 64

MIN_SIDE = 32
"""Least side of an image; the coarsest features have this stride."""

EXAMPLE = ('the lake', 'the building complex next to the playground')
"""Texts of different length, so that what is traced has padding."""

CHECKS = (
    ('storage tanks',),
    ('the road', 'the parking lot between the road and the lake', 'all ships'),
)
"""One query without padding, and more and longer ones than the example."""


def export_model(
    network: nn.Module,
    size: tuple[int, int],
    out: str | Path,
    formats: Sequence[str] | None = None,
    source: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a network in several formats, its tokenizer, and ``export.json``, which says how to feed them.

    Args:
        network: one of the kinds that :func:`~xemap.export.halves.halves_of` knows, on the CPU.
        size: (height, width) of the image; the only one that exported files take.
        out: folder.
        formats: some of :data:`FORMATS`; None = all that the network has. MLCM has the whole network only.
        source: what the model is, for ``export.json``: ``model``, ``weights``, ``weights_hash``.

    Returns:
        the content of ``export.json``; ``files`` has name, bytes and the largest difference to the network.

    Raises:
        ConfigError: an unknown format, a size too small, a model that cannot be exported, a file that does not
            repeat the model's output, or ONNX is wanted and its packages are not installed.
    """
    if min(size) < MIN_SIDE:
        raise ConfigError(f'size {size[0]} x {size[1]}; give at least {MIN_SIDE} pixels each way')
    halves = halves_of(network, size)
    known = tuple(FORMATS) if halves.encoded else ('pt2', 'onnx')
    formats = known if formats is None else formats
    if not formats or not set(formats) <= set(known):
        raise ConfigError(f'format "{",".join(formats)}"; give some of {",".join(known)} for {type(network).__name__}')
    if set(formats) != {'pt2'}:
        _require_onnx()
    out = Path(out)
    whole = WholeNetwork(halves)
    files = []
    for kind in dict.fromkeys(formats):
        path = out / FORMATS[kind]
        if kind == 'pt2':
            difference = write_program(whole, path)
        else:
            module = {'image-onnx': ImageSide, 'query-onnx': QuerySide}.get(kind, WholeNetwork)
            difference = write_onnx(module(halves), path)
        files.append({'format': kind, 'file': path.name, 'bytes': path.stat().st_size, 'max_difference': difference})
    encoder = whole.network.language_model
    encoder.tokenizer.save_pretrained(out / 'tokenizer')
    preprocessor = whole.network.data_preprocessor
    about = {
        'xemap': __version__,
        **(source or {}),
        'files': files,
        'reference': _write_reference(whole, out / 'reference.npz'),
        'image': {
            'height': size[0],
            'width': size[1],
            'resize': {**RESIZE, 'keeps_aspect_ratio': any(isinstance(s, Letterbox) for s in whole.network._pipeline)},
            'channels': 'BGR' if preprocessor._channel_conversion else 'RGB',
            'mean': preprocessor.mean.flatten().tolist() if preprocessor._enable_normalize else [0.0] * 3,
            'std': preprocessor.std.flatten().tolist() if preprocessor._enable_normalize else [1.0] * 3,
        },
        'text': {
            'tokenizer': 'tokenizer',
            'max_tokens': encoder.max_tokens,
            'padding': encoder.padding,
            'keeps_end': getattr(encoder, 'truncation', 'keep_end') == 'keep_end',
        },
    }
    write_text(out / 'example.py', (Path(__file__).parent / 'example.py').read_text())
    write_json(out / 'export.json', about)
    return about


def _write_reference(whole: WholeNetwork, path: Path) -> dict[str, Any]:
    """Inputs and outputs of the whole network, by name, with which other programs check themselves."""
    texts = CHECKS[-1]
    inputs = whole.example(texts)
    with torch.no_grad():
        outputs = _listed(whole(*inputs))
    arrays = dict(zip((*whole.inputs, *whole.outputs), (value.numpy() for value in (*inputs, *outputs))))
    with replacing(path) as part:
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
    return {'file': path.name, 'texts': texts, 'inputs': whole.inputs, 'outputs': whole.outputs}


def write_program(whole: WholeNetwork, path: str | Path) -> float:
    """Write a torch.export program; numbers of images and queries and, unless fixed, text length are dynamic.

    Returns:
        the largest difference to the network on other texts than the traced ones.

    Raises:
        ConfigError: it is larger than :data:`TOLERANCE`.
    """
    dims = {
        'images': torch.export.Dim('images', min=1, max=MAX_IMAGES),
        'queries': torch.export.Dim('queries', min=1, max=MAX_QUERIES),
        'tokens': torch.export.Dim('tokens', min=1, max=whole.network.language_model.max_tokens),
    }
    axes = whole.axes()
    shapes = tuple({i: dims[axis] for i, axis in axes[name].items()} for name in whole.inputs)
    with torch.no_grad(), replacing(path) as part, exportable():
        program = torch.export.export(whole, whole.example(EXAMPLE), dynamic_shapes=(shapes,), strict=False)
        torch.export.save(program, part)
        run = torch.export.load(part).module()
        return _difference(whole, lambda *inputs: _listed(run(*inputs)), Path(path))


def write_onnx(module: ExportModule, path: str | Path) -> float:
    """Write an ONNX file; numbers of images and queries and, unless fixed, text length are dynamic.

    Returns:
        the largest difference to the network under onnxruntime, on other inputs than the traced ones.

    Raises:
        ConfigError: it is larger than :data:`TOLERANCE`, or onnx or onnxruntime are not installed.
    """
    onnx, onnxruntime = _require_onnx()
    with torch.no_grad(), replacing(path) as part, warnings.catch_warnings(), exportable():
        # The tracing exporter: the newer one needs onnxscript. It follows one path only and warns of each place where
        # another were possible; the check below is the answer.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module,
            module.example(EXAMPLE),
            str(part),
            input_names=list(module.inputs),
            output_names=list(module.outputs),
            dynamic_axes=module.axes(),
            opset_version=OPSET,
            dynamo=False,
        )
        onnx.checker.check_model(str(part))
        session = onnxruntime.InferenceSession(str(part), providers=['CPUExecutionProvider'])

        def run(*given: Tensor) -> list[Tensor]:
            outputs = session.run(None, {name: value.numpy() for name, value in zip(module.inputs, given)})
            return [torch.from_numpy(np.asarray(value)) for value in outputs]

        return _difference(module, run, Path(path))


def _listed(outputs: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def _difference(module: ExportModule, run: Callable[..., list[Tensor]], path: Path) -> float:
    largest = 0.0
    for texts in CHECKS:
        inputs = module.example(texts)
        for expected, actual in zip(_listed(module(*inputs)), run(*inputs), strict=True):
            same = expected.shape == actual.shape
            largest = max(largest, float((expected - actual).abs().max()) if same else float('inf'))
    if not largest <= TOLERANCE:
        raise ConfigError(
            f'{path.name} differs from the model by {largest:.2g} (at most {TOLERANCE:g} is rounding) and was not '
            'written; export to another format'
        )
    return largest


def _require_onnx() -> tuple[ModuleType, ModuleType]:
    try:
        return importlib.import_module('onnx'), importlib.import_module('onnxruntime')
    except ImportError as error:
        raise ConfigError(f'ONNX needs {error.name}; pip install onnx onnxruntime, or use --format pt2') from error
