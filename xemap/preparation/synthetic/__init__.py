"""The embedded data set: procedurally drawn overhead scenes, and queries whose referents are known.

:func:`generate_scene` draws one scene, :func:`write_synthetic` a split of a data set.

====================  ==========================================================================
module                what it holds
====================  ==========================================================================
``layout``            which objects a scene has, where, with which outlines and attributes
``shapes``            the geometry of outlines
``queries``           which queries a scene has; ``words.json`` names what is drawn
``render``            from a plan to pixels; ``canvas`` and ``noise`` are its means
``terrain``           drawing land cover and water
``buildings``         drawing what stands up
``grounds``           drawing roads, parking lots, sports grounds, airfields and ships
``scene``, ``writer``  one scene, a data set
``captions``          captioned tiles of scenes, for retrieval models
====================  ==========================================================================
"""

from xemap.preparation.synthetic.scene import GENERATOR_VERSION, Scene, generate_scene, lay_out_scene
from xemap.preparation.synthetic.writer import write_synthetic

__all__ = ['GENERATOR_VERSION', 'Scene', 'generate_scene', 'lay_out_scene', 'write_synthetic']
