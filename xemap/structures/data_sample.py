"""What travels from the pipeline through the model to the metrics."""

from __future__ import annotations

from mmengine.structures import BaseDataElement


class XeMapDataSample(BaseDataElement):
    """One image with its queries, their targets and, once the model has run, its answers.

    Meta information: ``img_path``, ``ori_shape`` (h, w) of the file, ``img_shape`` (h, w) of the network's
    input, ``content`` (x0, y0, x1, y1), where a step has padded the image: the part of the input that shows it;
    ``source``, ``sample_idx`` (row of the annotation file), ``query_ids`` (place of each query within its row),
    ``flip`` and ``flip_direction``.

    Data fields, all with the same order and number Q of queries:

    - ``queries``: list of :class:`~xemap.structures.Query`; in a flipped sample their texts and
      regions are those of the mirrored image.
    - ``texts``: list of str.
    - targets, as far as the pipeline makes them, at the network's input size: ``gt_maps`` (Q, H, W) float32 in
      [0, 1], ``gt_masks`` (Q, H, W) bool, ``gt_boxes`` (Q, 4) float32 x0, y0, x1, y1 in pixels of the input,
      ``gt_phrases`` (Q, 2, H', W') float32 in [0, 1], of a size of their own.
    - ``answers``: :class:`~xemap.structures.Answers`, set by the model; they cover the image, without padding.
    """
