"""LAVT, the baseline of referring segmentation."""

from xemap.models.localizers.lavt.lavt import LAVT

__all__ = ['LAVT']
