"""What travels from the pipeline through the model to the metrics."""

from __future__ import annotations

from mmengine.structures import BaseDataElement


class XeMapDataSample(BaseDataElement):
    """One image with its queries, their targets and, once the model has run, its maps.

    Meta information: ``img_path``, ``ori_shape`` (h, w) of the file, ``img_shape`` (h, w) of the network's
    input, ``source``, ``sample_idx`` (row of the annotation file), ``query_ids`` (place of each query
    within its row), ``flip`` and ``flip_direction``.

    Data fields, all with the same order and number Q of queries:

    - ``queries``: list of :class:`~xemap.structures.Query`; in a flipped sample their texts and
      regions are those of the mirrored image.
    - ``texts``: list of str.
    - ``gt_maps``: (Q, H, W) float32 in [0, 1], at the network's input size; training only.
    - ``pred_maps``: (Q, h, w) float32 in [0, 1], set by the model; any resolution, covers the image.
    """
