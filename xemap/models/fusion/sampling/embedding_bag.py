"""Deformable sampling on the CPU as products with sparse matrices.

The four corners of a bilinear sample are rows of a table, and a row's weight is its bilinear weight times
the attention weight. A query of a head then sums ``4 * levels * points`` weighted rows, which is
``embedding_bag``: out = A V with a sparse A. The gradients are V' = A^T out' and, for each entry of A, the
product of the rows of out' and V that it joins.

Levels stand in the table with a border of :data:`BORDER` zeros, and positions are clamped into it, so that
samples outside are zero, and their gradients too, without a mask.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csc_array
from torch import Tensor
from torch.autograd.function import once_differentiable

from xemap.models.fusion.sampling.grid_sample import LevelShapes

BORDER = 2


def sample_embedding_bag(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """As :func:`xemap.models.fusion.sampling.sample_levels`, on the CPU, computed in float32 or wider."""
    wide = torch.promote_types(value.dtype, torch.float32)
    table = _with_border(value.to(wide), shapes)
    out = _Sample.apply(table, shapes, locations.to(wide), weights.to(wide))
    return out.to(value.dtype)


class _Corners(NamedTuple):
    """Corners and weights of all samples of one item of the batch."""

    rows: Tensor  # (Q * heads, levels * points * 4) int32, in the table
    weights: Tensor  # (Q * heads, levels * points * 4)
    x: Tensor  # (Q, heads, levels, points), fraction of the way to the right corner
    y: Tensor  # (Q, heads, levels, points), to the lower corner


def _with_border(value: Tensor, shapes: LevelShapes) -> Tensor:
    """(N, P, heads, d) -> (N, P', heads, d), each level surrounded by zeros."""
    levels = value.split([h * w for h, w in shapes], 1)
    frame = (0, 0, 0, 0, BORDER, BORDER, BORDER, BORDER)
    return torch.cat([F.pad(v.unflatten(1, shape), frame).flatten(1, 2) for v, shape in zip(levels, shapes)], 1)


def _corners(locations: Tensor, weights: Tensor, shapes: LevelShapes) -> _Corners:
    """Rows and weights of one item: (Q, heads, levels, points, 2) locations, (Q, heads, levels, points) weights."""
    queries, heads = weights.shape[:2]
    extent = locations.new_tensor([(w, h) for h, w in shapes])[:, None]  # (levels, 1, 2)
    position = torch.addcmul(locations.new_tensor(-0.5), locations, extent)
    # A position that is no number counts as outside; it must not become a row.
    position = torch.minimum(torch.fmax(position, locations.new_tensor(-BORDER)), extent)
    corner = position.floor()
    x, y = position.sub_(corner).unbind(-1)

    # Rows are counted in floats, which are quicker than integers and exact to 2^24 tokens.
    stride = extent[..., 0] + 2 * BORDER  # (levels, 1)
    area = stride * (extent[..., 1] + 2 * BORDER)
    first = area.cumsum(0) - area + BORDER * (stride + 1)
    column, line = corner.unbind(-1)
    row = torch.addcmul(column + first, line, stride).int()
    row = row.mul_(heads).add_(torch.arange(heads, dtype=torch.int32)[:, None, None])
    steps = torch.cat([torch.zeros_like(stride), torch.ones_like(stride), stride, stride + 1], -1).int() * heads
    rows = row[..., None] + steps[:, None]  # upper left, upper right, lower left, lower right

    share = weights.new_empty(*weights.shape, 4)
    lower = weights * y
    upper = weights - lower
    torch.mul(upper, x, out=share[..., 1])
    torch.sub(upper, share[..., 1], out=share[..., 0])
    torch.mul(lower, x, out=share[..., 3])
    torch.sub(lower, share[..., 3], out=share[..., 2])
    entries = steps.numel() * weights.shape[-1]
    return _Corners(rows.view(queries * heads, entries), share.view(queries * heads, entries), x, y)


class _Sample(torch.autograd.Function):
    """(N, P', heads, d) table, shapes, locations, weights -> (N, Q, heads * d), an item of the batch at a time."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
        n, _, heads, dim = table.shape
        queries = locations.shape[1]
        out = table.new_empty(n, queries * heads, dim)
        kept: list[Tensor] = []
        for i in range(n):
            corners = _corners(locations[i], weights[i], shapes)
            out[i] = _products(table[i], corners.rows, corners.weights)
            if any(ctx.needs_input_grad):
                kept += corners
        ctx.save_for_backward(table, weights, *kept)
        ctx.shapes = shapes
        return out.view(n, queries, heads * dim)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor | None]:
        table, weights, *kept = ctx.saved_tensors
        items = [_Corners(*kept[i : i + 4]) for i in range(0, len(kept), 4)]
        grads = grad.reshape(len(table), weights.shape[1] * weights.shape[2], table.shape[-1])
        table_grad = locations_grad = weights_grad = None
        if ctx.needs_input_grad[0]:
            table_grad = torch.empty_like(table)

            def collect(i: int) -> None:
                table_grad[i] = _transposed_product(items[i], grads[i], table[i, ..., 0].numel()).view_as(table[i])

            with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # SciPy uses one
                list(threads.map(collect, range(len(items))))
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            locations_grad, weights_grad = weights.new_empty(*weights.shape, 2), torch.empty_like(weights)
            for i, corners in enumerate(items):
                dots = _entry_products(table[i], corners, grads[i]).view(*weights.shape[1:], 4)
                _sample_gradients(dots, corners, weights[i], ctx.shapes, locations_grad[i], weights_grad[i])
        return table_grad, None, locations_grad, weights_grad


def _products(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """A V: (Q * heads, d)."""
    return F.embedding_bag(rows, table.view(-1, table.shape[-1]), mode='sum', per_sample_weights=weights)


def _transposed_product(corners: _Corners, grad: Tensor, size: int) -> Tensor:
    """A^T out': (size, d) for a table of so many rows. A by rows is A^T by columns: nothing needs sorting."""
    bags, entries = corners.rows.shape
    starts = np.arange(0, bags * entries + 1, entries, dtype=np.int32)
    matrix = csc_array((corners.weights.view(-1).numpy(), corners.rows.view(-1).numpy(), starts), (size, bags))
    return torch.from_numpy(matrix @ grad.numpy())


def _entry_products(table: Tensor, corners: _Corners, grad: Tensor) -> Tensor:
    """For each entry of A the product of the rows of out' and V that it joins: (Q * heads, levels * points * 4)."""
    with torch.enable_grad():
        weights = corners.weights.detach().requires_grad_()
        return torch.autograd.grad(_products(table, corners.rows, weights), weights, grad)[0]


def _sample_gradients(
    dots: Tensor, corners: _Corners, weights: Tensor, shapes: LevelShapes, locations_out: Tensor, weights_out: Tensor
) -> None:
    """Gradients of one item's locations (…, 2) and weights (…), from the products with the four corners (…, 4)."""
    upper_left, upper_right, lower_left, lower_right = dots.unbind(-1)
    upper_step, lower_step = upper_right - upper_left, lower_right - lower_left
    upper = torch.addcmul(upper_left, upper_step, corners.x)
    lower = torch.addcmul(lower_left, lower_step, corners.x)
    torch.lerp(upper, lower, corners.y, out=weights_out)
    extent = weights.new_tensor(shapes)[:, :, None]  # (levels, 2, 1)
    torch.mul(torch.lerp(upper_step, lower_step, corners.y).mul_(weights), extent[:, 1], out=locations_out[..., 0])
    torch.mul((lower - upper).mul_(weights), extent[:, 0], out=locations_out[..., 1])
