"""Pictures of a few queries, the same ones after every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from xemap.datasets.mcmg import correlation_map
from xemap.raster.image_io import read_image
from xemap.raster.resize import fit_size, resize
from xemap.registry import HOOKS
from xemap.structures import XeMapDataSample
from xemap.visualization import query_panel, save_picture, scale_polygons, shrink

MAX_SIDE = 384


@HOOKS.register_module()
class DrawHook(Hook):
    """Draws image, target and prediction of queries, all on the scale 0..1.

    While training, the same ``num_queries`` validation queries, spread evenly over the data set, go to
    ``work_dir/vis_data/epoch_NNN/`` (``iter_NNNNNN/`` where training counts iterations) and to the
    visualizer's back ends. While testing, every query goes to ``show_dir`` if that is set.

    Args:
        num_queries: how many validation queries to draw; 0 = none.
        show_dir: where test pictures go; None draws none.
    """

    priority = 'LOW'

    def __init__(self, num_queries: int = 6, show_dir: str | None = None) -> None:
        self.num_queries = num_queries
        self.show_dir = show_dir
        self._chosen: list[int] = []  # rows of the annotation file
        self._drawn: dict[str, np.ndarray] = {}

    def before_val(self, runner) -> None:
        dataset = runner.val_dataloader.dataset
        indices = even_choice(len(dataset), self.num_queries)
        self._chosen = [dataset.get_data_info(i)['sample_idx'] for i in indices]
        self._drawn = {}

    def after_val_iter(self, runner, batch_idx: int, data_batch: dict, outputs: Sequence[XeMapDataSample] = ()) -> None:
        for image, sample in zip(data_batch['inputs'], outputs):
            if sample.sample_idx in self._chosen:
                query = self._chosen.index(sample.sample_idx) % len(sample.queries)
                self._drawn[picture_name(sample, query)] = draw_query(picture_of(sample, image), sample, query)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        # Only the first rank's visualizer writes, and the images are spread over all ranks.
        pictures = {name: picture for part in all_gather_object(self._drawn) for name, picture in part.items()}
        if not is_main_process():
            return
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        step = runner.epoch if by_epoch else runner.iter
        folder = Path(runner.work_dir, 'vis_data', f'epoch_{step:03d}' if by_epoch else f'iter_{step:06d}')
        for name, picture in sorted(pictures.items()):
            save_picture(folder / f'{name}.png', picture)
            runner.visualizer.add_image(f'val_{name}', picture, step)

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: dict, outputs: Sequence[XeMapDataSample] = ()
    ) -> None:
        if self.show_dir is None:
            return
        for image, sample in zip(data_batch['inputs'], outputs):
            rgb = picture_of(sample, image)
            for query in range(len(sample.queries)):
                path = Path(self.show_dir, f'{picture_name(sample, query)}.png')
                save_picture(path, draw_query(rgb, sample, query))


def even_choice(total: int, number: int) -> list[int]:
    """``number`` different indices spread evenly over ``range(total)``, in order."""
    number = min(number, total)
    return [(2 * i + 1) * total // (2 * number) for i in range(number)]


def picture_of(sample: XeMapDataSample, image) -> np.ndarray:
    """The sample's image file where it is there and was not mirrored, else what the network saw of it.

    Args:
        sample: with ``img_path``.
        image: (3, H, W) uint8 RGB tensor, the network's input.

    Returns:
        (H', W', 3) uint8 RGB, at most ``MAX_SIDE`` pixels long where it comes from the file.
    """
    path = Path(sample.get('img_path') or '')
    if sample.get('flip') or not path.is_file():
        return to_rgb(image)
    return shrink(read_image(path), MAX_SIDE)


def to_rgb(image) -> np.ndarray:
    """(3, H, W) uint8 RGB tensor, as the pipeline packs it, to (H, W, 3) uint8."""
    return image.permute(1, 2, 0).contiguous().cpu().numpy()


def picture_name(sample: XeMapDataSample, query: int) -> str:
    """File name without ending, ordered by image and query: '00012_q03_harbour'."""
    return f'{sample.sample_idx:05d}_q{sample.query_ids[query]:02d}_{Path(sample.img_path).stem}'


def draw_query(image: np.ndarray, sample: XeMapDataSample, query: int, rmi: float | None = None) -> np.ndarray:
    """Picture of one query of a predicted sample.

    Args:
        image: (H, W, 3) uint8 RGB as the model saw it, of any size; brought back to its own proportions.
        sample: with ``answers`` and ``queries``; the target comes from ``gt_maps``, else from the region.
        query: which of the sample's queries.
        rmi: its score, to be printed.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    size = (int(sample.ori_shape[0]), int(sample.ori_shape[1]))
    small = fit_size(size, MAX_SIDE)
    image = resize(image, small)
    asked = sample.queries[query]
    if 'gt_maps' in sample:
        target = sample.gt_maps[query].cpu().numpy()
    else:
        target = correlation_map(asked.region.coverage(size, small))
    outlines = scale_polygons(asked.region.polygons(size), size, small)
    prediction = sample.answers[query].maps(small)[0]
    return query_panel(image, asked.text, prediction, target, outlines, rmi, MAX_SIDE)
