"""Multi-scale deformable sampling as Triton kernels, for CUDA devices without mmcv's compiled operators.

A row is one (query, head). A program owns a block of rows of one image with their d channels in registers:
a bilinear corner is then one contiguous read of d channels, the samples of neighboring rows lie side by
side, and programs that run at one time read the same image, whose levels fit the L2 cache. Only the gradient
of the values is shared between programs; it is summed by atomic additions, in no fixed order.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from xemap.errors import ConfigError

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

jit = (lambda function: function) if triton is None else triton.jit


@jit
def block(
    tokens, rows, blocks, HEADS: tl.constexpr, DIM: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    """The program's rows over the whole batch, offsets of their head in token 0 of their image, and masks."""
    image = (tl.program_id(0) // blocks).to(tl.int64)
    row = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)  # query * HEADS + head
    # Triton gives a thread as many neighboring channels as it believes to be contiguous.
    channel = tl.max_contiguous(tl.arange(0, COLUMNS), VECTOR)[None, :]
    origin = image * tokens * (HEADS * DIM) + (row % HEADS)[:, None] * DIM + channel
    live = row < rows
    return image * rows + row, channel, origin, live, live[:, None] & (channel < DIM)


@jit
def level_shape(levels, level):
    return tl.load(levels + 3 * level), tl.load(levels + 3 * level + 1), tl.load(levels + 3 * level + 2)


@jit
def read_sample(locations, weights, sample, height, width, live, ACC: tl.constexpr):
    """Position in pixels, the first one centered on 0, and weight."""
    x = tl.load(locations + 2 * sample, mask=live, other=0.0).to(ACC) * width - 0.5
    y = tl.load(locations + 2 * sample + 1, mask=live, other=0.0).to(ACC) * height - 0.5
    weight = tl.load(weights + sample, mask=live, other=0.0).to(ACC)
    # What lies far outside is brought near, where integers hold it.
    x, y = tl.maximum(x, -2.0), tl.maximum(y, -2.0)
    return tl.minimum(x, width + 1.0), tl.minimum(y, height + 1.0), weight


@jit
def corner(x, y, height, width, start, right: tl.constexpr, lower: tl.constexpr):
    """One of the four pixels around (x, y): its token, whether it exists, its share in x and in y."""
    left, top = tl.floor(x), tl.floor(y)
    column, row = left.to(tl.int32) + right, top.to(tl.int32) + lower
    exists = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    share_x = x - left if right else 1 - (x - left)
    share_y = y - top if lower else 1 - (y - top)
    return (start + row * width + column).to(tl.int64), exists, share_x, share_y


@jit
def forward_kernel(
    value, locations, weights, levels, out, tokens, rows, blocks,
    HEADS: tl.constexpr, DIM: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, VECTOR: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    line, channel, origin, live, known = block(tokens, rows, blocks, HEADS, DIM, ROWS, COLUMNS, VECTOR)
    total = tl.zeros((ROWS, COLUMNS), ACC)
    for level in range(LEVELS):
        height, width, start = level_shape(levels, level)
        for point in tl.static_range(POINTS):
            sample = line * (LEVELS * POINTS) + level * POINTS + point
            x, y, weight = read_sample(locations, weights, sample, height, width, live, ACC)
            for right in tl.static_range(2):
                for lower in tl.static_range(2):
                    token, exists, share_x, share_y = corner(x, y, height, width, start, right, lower)
                    place = value + origin + token[:, None] * (HEADS * DIM)
                    pixel = tl.load(place, mask=exists[:, None] & known, other=0.0).to(ACC)
                    total += (weight * share_x * share_y)[:, None] * pixel
    tl.store(out + line[:, None] * DIM + channel, total.to(out.dtype.element_ty), mask=known)


@jit
def value_gradient_kernel(
    grad_out, locations, weights, levels, grad_value, tokens, rows, blocks,
    HEADS: tl.constexpr, DIM: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, VECTOR: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    line, channel, origin, live, known = block(tokens, rows, blocks, HEADS, DIM, ROWS, COLUMNS, VECTOR)
    upstream = tl.load(grad_out + line[:, None] * DIM + channel, mask=known, other=0.0).to(ACC)
    for level in range(LEVELS):
        height, width, start = level_shape(levels, level)
        for point in tl.static_range(POINTS):
            sample = line * (LEVELS * POINTS) + level * POINTS + point
            x, y, weight = read_sample(locations, weights, sample, height, width, live, ACC)
            for right in tl.static_range(2):
                for lower in tl.static_range(2):
                    token, exists, share_x, share_y = corner(x, y, height, width, start, right, lower)
                    place = grad_value + origin + token[:, None] * (HEADS * DIM)
                    part = (weight * share_x * share_y)[:, None] * upstream
                    tl.atomic_add(place, part, mask=exists[:, None] & known, sem='relaxed')


@jit
def sample_gradient_kernel(
    grad_out, value, locations, weights, levels, grad_locations, grad_weights, tokens, rows, blocks,
    HEADS: tl.constexpr, DIM: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, VECTOR: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    line, channel, origin, live, known = block(tokens, rows, blocks, HEADS, DIM, ROWS, COLUMNS, VECTOR)
    upstream = tl.load(grad_out + line[:, None] * DIM + channel, mask=known, other=0.0).to(ACC)
    for level in range(LEVELS):
        height, width, start = level_shape(levels, level)
        for point in tl.static_range(POINTS):
            sample = line * (LEVELS * POINTS) + level * POINTS + point
            x, y, weight = read_sample(locations, weights, sample, height, width, live, ACC)
            total, slope_x, slope_y = tl.zeros((ROWS,), ACC), tl.zeros((ROWS,), ACC), tl.zeros((ROWS,), ACC)
            for right in tl.static_range(2):
                for lower in tl.static_range(2):
                    token, exists, share_x, share_y = corner(x, y, height, width, start, right, lower)
                    place = value + origin + token[:, None] * (HEADS * DIM)
                    pixel = tl.load(place, mask=exists[:, None] & known, other=0.0).to(ACC)
                    product = tl.sum(pixel * upstream, 1)
                    total += share_x * share_y * product
                    slope_x += share_y * product if right else -share_y * product
                    slope_y += share_x * product if lower else -share_x * product
            slopes = tl.join(slope_x * weight * width, slope_y * weight * height)
            pair = grad_locations + 2 * sample[:, None] + tl.arange(0, 2)[None, :]
            tl.store(pair, slopes.to(grad_locations.dtype.element_ty), mask=live[:, None])
            tl.store(grad_weights + sample, total.to(grad_weights.dtype.element_ty), mask=live)


@lru_cache(maxsize=64)
def level_table(shapes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """(levels, 3) int32 height, width and first token; kept, because copying it makes the host wait."""
    starts = [sum(h * w for h, w in shapes[:i]) for i in range(len(shapes))]
    return torch.tensor([(h, w, s) for (h, w), s in zip(shapes, starts)], dtype=torch.int32, device=device)


def launch(kernel: Any, value: torch.Size, locations: torch.Size, tensors: list[Tensor], vector: int = 8) -> None:
    """Run a kernel over all rows: shapes of the values and locations, the kernel's pointers, channels per access."""
    n, tokens, heads, dim = value
    queries, levels, points = locations[1], locations[3], locations[4]
    columns = triton.next_power_of_2(dim)
    # Two warps with 8 channels per thread. With single channels a thread has that many rows of its own, and 8 of
    # them would need all its registers.
    rows = max((128 if vector == 1 else 512) // columns, 1)
    blocks = triton.cdiv(queries * heads, rows)
    wide = tl.float64 if tensors[0].dtype == torch.float64 else tl.float32
    if n * blocks:
        with torch.cuda.device_of(tensors[0]):
            kernel[(n * blocks,)](
                *tensors, tokens, queries * heads, blocks,
                HEADS=heads, DIM=dim, LEVELS=levels, POINTS=points, ROWS=rows, COLUMNS=columns,
                VECTOR=min(vector, columns), ACC=wide, num_warps=2,
            )  # fmt: skip


class Sampling(torch.autograd.Function):
    """The kernels with their gradients; arguments as :func:`sample_triton`, shapes as a tuple."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, shapes: tuple, locations: Tensor, weights: Tensor) -> Tensor:
        value, locations, weights = value.contiguous(), locations.contiguous(), weights.contiguous()
        ctx.shapes, ctx.value_shape, ctx.value_dtype = shapes, value.shape, value.dtype
        by_sample = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        ctx.save_for_backward(value if by_sample else None, locations, weights)
        out = value.new_empty(value.shape[0], locations.shape[1], value.shape[2] * value.shape[3])
        table = level_table(shapes, value.device)
        launch(forward_kernel, value.shape, locations.shape, [value, locations, weights, table, out])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor | None]:
        value, locations, weights = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        table = level_table(ctx.shapes, grad_out.device)
        grad_value = grad_locations = grad_weights = None
        if ctx.needs_input_grad[0]:
            total = grad_out.new_zeros(ctx.value_shape, dtype=torch.promote_types(ctx.value_dtype, torch.float32))
            # Hopper and later add four channels at once; before, a warp's threads should take neighboring ones.
            vector = 1 if grad_out.is_cuda and torch.cuda.get_device_capability(grad_out.device) < (9, 0) else 4
            pointers = [grad_out, locations, weights, table, total]
            launch(value_gradient_kernel, ctx.value_shape, locations.shape, pointers, vector)
            grad_value = total.to(ctx.value_dtype)
        if value is not None:
            grad_locations, grad_weights = torch.empty_like(locations), torch.empty_like(weights)
            pointers = [grad_out, value, locations, weights, table, grad_locations, grad_weights]
            launch(sample_gradient_kernel, ctx.value_shape, locations.shape, pointers)
        # Autograd drops the gradient of an input that asked for none.
        return grad_value, None, grad_locations, grad_weights


def triton_available() -> bool:
    """Whether Triton is installed and can build its loader, which takes a C compiler and Python's headers."""
    compiler = os.environ.get('CC') or shutil.which('gcc') or shutil.which('clang')
    headers = Path(sysconfig.get_path('include', 'posix_prefix'))
    return triton is not None and compiler is not None and (headers / 'Python.h').is_file()


def sample_triton(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted bilinear samples of several feature levels, differentiable once in all three tensors.

    Positions and sums have at least single precision. The gradient of the values is not bit-reproducible.

    Args:
        value: (N, P, heads, d) of any floating type on a CUDA device, with P the sum of the levels' areas.
        shapes: (h, w) of every level.
        locations: (N, Q, heads, levels, points, 2) x, y in [0, 1] of each level; outside counts as zero.
        weights: (N, Q, heads, levels, points).

    Returns:
        (N, Q, heads * d) of the values' type.

    Raises:
        ConfigError: Triton is missing, the tensors are not on one CUDA device, or their shapes do not match.
    """
    if triton is None:
        raise ConfigError('sample_triton: Triton is not installed; pip install triton, or use another back end')
    n, tokens, heads, _ = value.shape
    grid = (n, locations.shape[1], heads, len(shapes), locations.shape[-2])
    # A wrong shape would read foreign memory.
    if sum(h * w for h, w in shapes) != tokens or locations.shape != (*grid, 2) or weights.shape != grid:
        raise ConfigError(
            f'sample_triton: value {tuple(value.shape)}, shapes {shapes}, locations {tuple(locations.shape)}, weights '
            f'{tuple(weights.shape)} do not fit; give (N, P, heads, d), [(h, w), ...] with P pixels in all, '
            '(N, Q, heads, levels, points, 2), (N, Q, heads, levels, points)'
        )
    interpreted = not isinstance(forward_kernel, triton.JITFunction)
    devices = {t.device for t in (value, locations, weights)}
    if len(devices) > 1 or not (value.is_cuda or interpreted):
        names = ', '.join(sorted(map(str, devices)))
        raise ConfigError(f'sample_triton: tensors on {names}; move all to one CUDA device, or use another back end')
    return Sampling.apply(value, tuple((int(h), int(w)) for h, w in shapes), locations, weights)
