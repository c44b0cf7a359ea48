"""The same networks composed from MMDetection's parts as they are: what the project's own are measured against."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmcv.ops import multi_scale_deform_attn
from mmdet.models.layers.transformer.deformable_detr_layers import DeformableDetrTransformerEncoder
from mmdet.models.layers.transformer.grounding_dino_layers import GroundingDinoTransformerEncoder
from mmdet.models.layers.transformer.utils import get_text_sine_pos_embed
from mmdet.models.utils.vlfuse_helper import SingleScaleBiAttentionBlock
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from torch import Tensor

from benchmarks import NAIVE
from benchmarks.model import Batch, build_model, make_batch, make_optimizer, predict
from benchmarks.naive_crobim import NaiveCroBIM
from benchmarks.naive_mlcm import NaiveMLCM
from benchmarks.timing import measure
from xemap.errors import ConfigError
from xemap.models.fusion.sampling import LevelShapes, has_compiled_ops
from xemap.models.heads import FusedTokens
from xemap.models.localizers import XeMapNetwork

QUERIES = 4
"""An image's queries in the comparison: the mean of the paper's test set."""


class NaiveEncoder(GroundingDinoTransformerEncoder):
    """MMDetection's layers, called one after another with masks that are right for a batch of texts.

    MMDetection's own ``forward`` is right for one pair only: it spreads the text masks over the heads in the
    wrong order, which changes the result and not the cost.
    """

    def forward(
        self, vision: Tensor, vision_pos: Tensor, shapes: LevelShapes, text: Tensor, text_padding: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`xemap.models.fusion.FusionEncoder.forward`."""
        n, s, _ = text.shape
        sizes = torch.tensor(shapes, device=vision.device)
        ratios = vision.new_ones(n, len(shapes), 2)
        points = DeformableDetrTransformerEncoder.get_encoder_reference_points(sizes, ratios, device=vision.device)
        starts = torch.cat([sizes.new_zeros(1), sizes.prod(1).cumsum(0)[:-1]])
        positions = torch.arange(s, device=text.device).float().view(1, -1, 1).expand(n, -1, -1)
        text_pos = get_text_sine_pos_embed(positions, num_pos_feats=self.embed_dims, exchange_xy=False)
        for fuse, attend_text, attend_image in zip(self.fusion_layers, self.text_layers, self.layers):
            vision, text = self._fuse(fuse, vision, vision_pos, text, (~text_padding).to(vision.dtype))
            text = attend_text(query=text, query_pos=text_pos, attn_mask=None, key_padding_mask=text_padding)
            vision = attend_image(
                query=vision,
                query_pos=vision_pos.expand(n, -1, -1),
                reference_points=points,
                spatial_shapes=sizes,
                level_start_index=starts,
                key_padding_mask=None,
            )
        return vision, text


    def _init_layers(self) -> None:
        self.fusion_layer_cfg = ConfigDict(self.fusion_layer_cfg)
        self.with_positions = self.fusion_layer_cfg.pop('with_positions', False)
        super()._init_layers()

    def _fuse(
        self, block: SingleScaleBiAttentionBlock, vision: Tensor, vision_pos: Tensor, text: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As MMDetection's block calls its parts, with positions where the network has them."""
        vision, text = block.layer_norm_v(vision), block.layer_norm_l(text)
        placed = vision + vision_pos if self.with_positions else vision
        updates = block.attn(placed, text, attention_mask_l=mask)
        delta_vision, delta_text = (block.drop_path(g * d) for g, d in zip((block.gamma_v, block.gamma_l), updates))
        return vision + delta_vision, text + delta_text


class NaiveNetwork(XeMapNetwork):
    """An image is encoded for each of its queries, and a text for each pair, as a detector does."""

    def __init__(self, **config: Any) -> None:
        if config['encoder'].get('relation_cfg') is not None:
            raise ConfigError('--parts naive: MMDetection has no relation blocks; leave the part or relation_cfg out')
        super().__init__(**config)
        encoder = {
            key: value for key, value in config['encoder'].items() if key not in ('type', 'checkpointing', 'compile')
        }
        encoder['layer_cfg'] = dict(encoder['layer_cfg'])
        attention = dict(encoder['layer_cfg']['self_attn_cfg'])
        attention.pop('sampling', None)
        encoder['layer_cfg']['self_attn_cfg'] = attention
        self.encoder = NaiveEncoder(
            **{key: ConfigDict(value) if isinstance(value, dict) else value for key, value in encoder.items()}
        )

    def fuse(
        self, inputs: Tensor, texts: Sequence[Sequence[str]], max_pairs: int | None = None
    ) -> Iterator[FusedTokens]:
        """As :meth:`xemap.models.localizers.XeMapNetwork.fuse`, all pairs at once."""
        image_idx = torch.tensor([i for i, queries in enumerate(texts) for _ in queries], device=inputs.device)
        vision, vision_pos, shapes = self.encode_images(inputs[image_idx])
        text, padding = self.encode_texts([text for queries in texts for text in queries])
        vision, text = self.encoder(vision, vision_pos, shapes, text, padding)
        size = (inputs.shape[-2], inputs.shape[-1])
        yield FusedTokens(vision, shapes, text, padding, size, [len(queries) for queries in texts])


COMPOSITIONS = {'XeMapNetwork': NaiveNetwork, 'CroBIM': NaiveCroBIM, 'MLCM': NaiveMLCM}
"""Networks that have a naive composition."""


def benchmark_naive(
    cfg: Any, size: tuple[int, int], repeats: int, device: str, seed: int = 0, compared: Collection[str] = NAIVE
) -> dict[str, Any]:
    """Time the project's network against its naive composition with the same weights, in turn.

    Args:
        cfg: with a ``model`` of a type in :data:`COMPOSITIONS` and an ``optim_wrapper``.
        size: (height, width) of the image.
        repeats: timed rounds.
        device: ``'cpu'`` or ``'cuda'``.
        seed: seed of weights, image and texts.
        compared: some of :data:`~benchmarks.NAIVE`.

    Returns:
        for each of ``compared``, ``infer`` (queries/s) and ``train`` (pairs/s, whole steps), of one image with
        :data:`QUERIES` queries: both sides, and ``gain``; ``max_difference`` of their maps, or of their boxes in
        pixels.

    Raises:
        ConfigError: the model is of another type.
    """
    if cfg.model.type not in COMPOSITIONS:
        raise ConfigError(
            f'--parts naive compares one of {", ".join(COMPOSITIONS)}; the config has a {cfg.model.type}, leave '
            'the part out'
        )
    torch.manual_seed(seed)
    ours = build_model(cfg, device)
    naive_cfg = cfg.copy()
    naive_cfg.model = ConfigDict(cfg.model, type=COMPOSITIONS[cfg.model.type])
    naive = build_model(naive_cfg, device)
    naive.load_state_dict(ours.state_dict())
    batch = make_batch([QUERIES], size, seed)
    models = {'xemap': ours, 'naive': naive}
    with _without_missing_operator():
        difference = (predict(ours, [batch]) - predict(naive, [batch])).abs().max()
        results: dict[str, Any] = {}
        if 'infer' in compared:
            calls = {name: partial(predict, model, [batch]) for name, model in models.items()}
            title = f'against the naive composition, inference, {QUERIES} queries'
            results['infer'] = _rates(measure(calls, repeats, device, title), 'queries_per_s')
        if 'train' in compared:
            steps = {name: _training_step(model, cfg, batch) for name, model in models.items()}
            title = f'against the naive composition, training, {QUERIES} pairs'
            results['train'] = _rates(measure(steps, repeats, device, title), 'pairs_per_s')
    return {'queries_per_image': QUERIES, **results, 'max_difference': float(difference)}


def _rates(times: dict[str, dict[str, float]], unit: str) -> dict[str, Any]:
    sides = {name: {unit: QUERIES / time['median_s'], **time} for name, time in times.items()}
    return {**sides, 'gain': times['naive']['median_s'] / times['xemap']['median_s']}


def _training_step(model: XeMapNetwork, cfg: Any, batch: Batch):
    optimizer: OptimWrapper = make_optimizer(model, cfg)
    model.train()
    return lambda: model.train_step(batch, optimizer)


@contextmanager
def _without_missing_operator():
    """mmcv calls its operator on every GPU; where it was not built, the naive side takes mmcv's plain torch."""
    before = multi_scale_deform_attn.IS_CUDA_AVAILABLE
    multi_scale_deform_attn.IS_CUDA_AVAILABLE = before and has_compiled_ops()
    try:
        yield
    finally:
        multi_scale_deform_attn.IS_CUDA_AVAILABLE = before
