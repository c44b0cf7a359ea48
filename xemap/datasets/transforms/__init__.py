"""Steps of a data pipeline; the keys they exchange are described in :class:`XeMapDataset`.

Pixel normalization is not a step: samples stay uint8 until the model's data preprocessor, which
normalizes whole batches on the device.
"""

from xemap.datasets.transforms.crop import RandomScaleCrop
from xemap.datasets.transforms.formatting import PackXeMapInputs
from xemap.datasets.transforms.geometry import RandomFlip, ResizeImage
from xemap.datasets.transforms.letterbox import Letterbox
from xemap.datasets.transforms.loading import LoadImage
from xemap.datasets.transforms.photometric import PhotometricAugment
from xemap.datasets.transforms.rotation import RandomRotate90
from xemap.datasets.transforms.targets import GenerateBoxes, GenerateMaps, GenerateMasks, GeneratePhrases

__all__ = [
    'GenerateBoxes',
    'GenerateMaps',
    'GenerateMasks',
    'GeneratePhrases',
    'Letterbox',
    'LoadImage',
    'PackXeMapInputs',
    'PhotometricAugment',
    'RandomFlip',
    'RandomRotate90',
    'RandomScaleCrop',
    'ResizeImage',
]
