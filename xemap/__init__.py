"""XeMap: contextual referring expression localization in remote-sensing imagery.

Importing the package is cheap; torch and MMDetection are imported by the parts that need them.
"""

from xemap.compat.mmcv_ext import install_placeholder

__version__ = '0.1.0'

install_placeholder()
