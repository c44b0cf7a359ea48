"""Every converter by its name on the command line, imported on first use."""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING

from xemap.errors import ConfigError

if TYPE_CHECKING:
    from xemap.preparation.converters.base import Converter

_HERE = 'xemap.preparation.converters'
CONVERTERS: dict[str, str] = {
    'coco': f'{_HERE}.coco:CocoConverter',
    'boxes-csv': f'{_HERE}.boxes_csv:BoxesCsvConverter',
    'color-masks': f'{_HERE}.color_masks:ColorMasksConverter',
    'polygons': f'{_HERE}.polygons:PolygonsConverter',
    'labelme': f'{_HERE}.polygons:LabelmeConverter',
    'coco-captions': f'{_HERE}.polygons:CocoCaptionsConverter',
    'airslt': f'{_HERE}.airslt:AirSltConverter',
    'dior-rsvg': f'{_HERE}.dior_rsvg:DiorRsvgConverter',
    'rrsis-d': f'{_HERE}.rrsis_d:RrsisDConverter',
    'refsegrs': f'{_HERE}.triplets:RefSegRSConverter',
    'risbench': f'{_HERE}.triplets:RisBenchConverter',
    'refcoco': f'{_HERE}.refcoco:RefCocoConverter',
    'visdrone': f'{_HERE}.visdrone:VisDroneConverter',
    'dior': f'{_HERE}.dior:DiorConverter',
    'dota': f'{_HERE}.dota:DotaConverter',
    'loveda': f'{_HERE}.loveda:LoveDAConverter',
    'potsdam': f'{_HERE}.isprs:PotsdamConverter',
    'vaihingen': f'{_HERE}.isprs:VaihingenConverter',
    'inria': f'{_HERE}.inria:InriaConverter',
}
"""``module:Class`` by name. One that is not listed is named as ``module:Class`` or ``path/to/file.py:Class``."""


def load_converter(name: str) -> type[Converter]:
    """A converter's class.

    Args:
        name: one of :data:`CONVERTERS`, ``module:Class`` or ``path/to/file.py:Class``, whose code is run.

    Raises:
        ConfigError: there is no such converter.
    """
    from xemap.preparation.converters.base import Converter

    path, _, cls = CONVERTERS.get(name, name).rpartition(':')
    if path.endswith('.py'):
        if not Path(path).is_file():
            raise ConfigError(f'format {name!r}: file {path} does not exist')
        spec = util.spec_from_file_location(Path(path).stem, path)
        assert spec is not None and spec.loader is not None
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        try:
            module = import_module(path)
        except ModuleNotFoundError as error:
            raise ConfigError(f'format {name!r}: {error}; give a module that Python finds') from error
    converter = getattr(module, cls, None)
    if not (isinstance(converter, type) and issubclass(converter, Converter)):
        raise ConfigError(f'format {name!r}: {path} has no subclass {cls!r} of Converter')
    return converter
