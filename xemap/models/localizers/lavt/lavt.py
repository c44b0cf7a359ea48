"""LAVT: referring segmentation by a language-aware image encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from xemap.models.localizers.fusing import FusingLocalizer
from xemap.models.localizers.lavt.head import FusedLevels, TopDownHead
from xemap.models.localizers.lavt.stages import Stages
from xemap.models.localizers.lavt.word_attention import LanguageGate, PixelWordAttention
from xemap.models.localizers.pairs import index_pairs
from xemap.models.text_encoders import HuggingFaceTextEncoder
from xemap.registry import MODELS, build_part


@MODELS.register_module()
class LAVT(FusingLocalizer):
    """Language-aware vision transformer (arXiv 2112.02244), the baseline of the referring-segmentation tables.

    The words enter the image encoder behind each of its stages: what a pixel gathers from them goes, through a gate,
    into the next stage and, ungated, to the head. So only the first stage's blocks can run once for all queries of an
    image; everything after them runs per pair.

    Args:
        backbone: MMDetection's ``SwinTransformer`` or ``ResNet`` of four stages.
        language_model: text encoder, see :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.
        in_channels: channels of the stages.
        head: options of :class:`~xemap.models.localizers.lavt.head.TopDownHead`.
        frozen: names of parts that do not train, see :func:`~xemap.models.freezing.freeze`.
        max_pairs: see :class:`~xemap.models.localizers.base.NetworkLocalizer`.
        data_preprocessor: normalization, see :class:`mmengine.model.ImgDataPreprocessor`.
        init_cfg: as in MMEngine.

    Raises:
        ConfigError: a backbone that cannot be run stage by stage, an option that does not exist, or a name in
            ``frozen`` that is no part.
    """

    def __init__(
        self,
        backbone: dict,
        language_model: dict,
        in_channels: Sequence[int] = (128, 256, 512, 1024),
        head: dict | None = None,
        frozen: tuple[str, ...] | str = (),
        max_pairs: int = 16,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(max_pairs, data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        Stages(self.backbone)  # refuses a backbone that has none
        self.language_model = build_part(HuggingFaceTextEncoder, 'language_model', language_model)
        width = self.language_model.width
        self.attention = nn.ModuleList([PixelWordAttention(channels, width) for channels in in_channels])
        self.gates = nn.ModuleList([LanguageGate(channels) for channels in in_channels[:-1]])
        self.head = build_part(TopDownHead, 'head', head, in_channels)
        self.freeze(frozen)

    @property
    def stride(self) -> int:
        return 64  # instance normalization needs several positions in the last stage, of stride 32

    def fuse(
        self, inputs: Tensor, texts: Sequence[Sequence[str]], max_pairs: int | None = None
    ) -> Iterator[FusedLevels]:
        pairs, distinct = index_pairs(texts, inputs.device)
        words, padding = self.language_model(distinct)
        stages = Stages(self.backbone)
        first = stages.run(0, stages.begin(inputs))
        size = (inputs.shape[-2], inputs.shape[-1])
        for group in pairs.split(max_pairs):
            levels = self.levels(stages, first[group.image_idx], words[group.text_idx], padding[group.text_idx])
            yield FusedLevels(levels, size, group.counts)

    def levels(self, stages: Stages, first: Tensor, words: Tensor, padding: Tensor) -> list[Tensor]:
        """Fused features of every stage.

        Args:
            stages: the stages of the backbone.
            first: (N, C_1, H_1, W_1) out of the first stage's blocks.
            words: (N, S, D_l) text tokens.
            padding: (N, S) bool, True = padding.

        Returns:
            (N, C_i, H_i, W_i) of each stage, the finest first.
        """
        levels, features = [], first
        for stage, attention in enumerate(self.attention):
            if stage:
                features = stages.run(stage, features)
            fused = attention(features, words, padding)
            levels.append(stages.output(stage, fused))
            if stage < len(self.gates):
                features = stages.advance(stage, self.gates[stage](features, fused))
        return levels
