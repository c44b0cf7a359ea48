"""SeLo: maps from a retrieval model that looks at an image slice by slice."""

from xemap.models.localizers.selo.generators import SeLoGenerator, SeLoV1Generator, SeLoV2Generator
from xemap.models.localizers.selo.selo_localizer import STAGES, SeLoLocalizer

__all__ = ['STAGES', 'SeLoGenerator', 'SeLoLocalizer', 'SeLoV1Generator', 'SeLoV2Generator']
