"""CLIP: two transformers, from open_clip or from the transformers library."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from xemap.errors import CheckpointError, ConfigError
from xemap.models.checkpoint import read_state_dict
from xemap.models.retrieval.base import RetrievalModel, unit
from xemap.models.retrieval.losses import MAX_SCALE
from xemap.registry import MODELS

CLIP_MEAN = (122.7709383, 116.7460125, 104.09373615)
CLIP_STD = (68.5005327, 66.6321579, 70.32316305)
"""OpenAI's, times 255."""

_FILE_SUFFIXES = ('.pt', '.pth', '.bin', '.safetensors')


class TwoTowerCLIP(RetrievalModel):
    """What the two have in common: freezing, the loss with CLIP's own temperature, and long texts.

    Args:
        model: module with a parameter ``logit_scale``.
        image_size: input size of the image tower, pixels.
        train_last: how many of the last layers of both towers train, with the normalization and
            projection after them and the temperature, as in the paper's fine-tuning (1); None trains
            everything.
        loss: loss of logits, that is of similarities times CLIP's factor.
        mean, std, init_cfg: see :class:`RetrievalModel`.
    """

    def __init__(
        self,
        model: Any,
        image_size: int,
        train_last: int | None = 1,
        loss: dict | None = None,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(loss or dict(type='ContrastiveLoss', temperature=None), image_size, mean, std, init_cfg)
        self.model: Any = model
        self._cut: set[str] = set()
        if train_last is not None:
            towers, ends = self._layers()
            deepest = min(map(len, towers))
            if not 0 <= train_last <= deepest:
                raise ConfigError(f'train_last={train_last}: the towers have {deepest} layers or more; give 0 to that')
            self.model.requires_grad_(False)
            trained = [layer for tower in towers for layer in list(tower)[len(tower) - train_last :]]
            for part in (*trained, *ends, self.model.logit_scale):
                part.requires_grad_(True)

    @abstractmethod
    def _layers(self) -> tuple[list[Sequence[nn.Module]], list[nn.Module | nn.Parameter]]:
        """Layers of the two towers, and what follows them."""

    def pair_loss(self, images: Tensor, texts: Tensor, matching: Tensor) -> dict[str, Tensor]:
        scale = self.model.logit_scale.exp().clamp(max=MAX_SCALE)
        return {'loss': self.criterion(scale * self.similarity(images, texts), matching)}

    def _warn_of_cut(self, texts: Iterable[str], lengths: Iterable[int], limit: int) -> None:
        """One warning for each text that has more tokens than the model takes."""
        for text, length in zip(texts, lengths):
            if length > limit and text not in self._cut:
                self._cut.add(text)
                print_log(
                    f'text of {length} tokens is cut to {limit}: "{text[:60]}…"',
                    logger='current',
                    level=logging.WARNING,
                )


@MODELS.register_module()
class OpenCLIPRetrieval(TwoTowerCLIP):
    """A CLIP of the open_clip library (``pip install open_clip_torch``).

    Args:
        name: name of the architecture, ``'ViT-L-14'`` or ``'ViT-B-32'``.
        weights: file with a state dict in open_clip's format, as RemoteCLIP and GeoRSCLIP publish them
            (read without executing anything in it); or a tag such as ``'openai'`` or
            ``'laion2b_s32b_b82k'``, fetched where there is a network; None: random. Loaded when training
            starts, or before a test without a checkpoint: a checkpoint of ours needs none.
        quick_gelu: use OpenAI's approximation of GELU; implied by ``weights='openai'``.
        kwargs: ``train_last``, ``loss``, ``mean``, ``std``, ``init_cfg`` of :class:`TwoTowerCLIP`.

    Raises:
        ConfigError: open_clip is not installed, does not know the architecture, or it has no transformer
            as image tower.
    """

    def __init__(self, name: str = 'ViT-L-14', weights: str | None = None, quick_gelu: bool = False, **kwargs) -> None:
        open_clip = _import_open_clip()
        if name not in open_clip.list_models():
            raise ConfigError(
                f'open_clip has no architecture "{name}"; use one of open_clip.list_models(), as "ViT-L-14"'
            )
        quick_gelu = quick_gelu or weights == 'openai'
        with _quiet():  # it warns that there are no weights yet
            model = open_clip.create_model(name, pretrained=None, precision='fp32', force_quick_gelu=quick_gelu)
        size = model.visual.image_size
        super().__init__(model, size if isinstance(size, int) else size[0], **kwargs)
        self.name, self.weights = name, weights
        self.tokenizer = open_clip.get_tokenizer(name)
        self.max_tokens = int(self.tokenizer.context_length)

    def init_weights(self) -> None:
        """Load what the config names.

        Raises:
            CheckpointError: the file cannot be read safely or does not fit, or the tag cannot be fetched.
        """
        super().init_weights()
        if self.weights is None:
            return
        if Path(self.weights).suffix in _FILE_SUFFIXES or Path(self.weights).exists():
            state = read_state_dict(self.weights)
        else:
            state = self._fetch(self.weights)
        state_dict = self.model.state_dict()
        missing = sorted(state_dict.keys() - state.keys())
        # Published files hold a buffer that newer versions of open_clip do not save.
        unknown = sorted(state.keys() - state_dict.keys() - {'text_projection_mask', 'attn_mask', 'visual.attn_mask'})
        shapes = sorted(k for k in state_dict.keys() & state.keys() if state_dict[k].shape != state[k].shape)
        for what, keys in (('lacks', missing), ('has the unknown', unknown), ('has another shape of', shapes)):
            if keys:
                raise CheckpointError(
                    f'{self.weights} {what} {keys[0]}{f" and {len(keys) - 1} more" if len(keys) > 1 else ""}; it is no '
                    f'open_clip state dict of {self.name}'
                )
        self.model.load_state_dict({key: state[key] for key in state_dict})

    def _fetch(self, tag: str) -> dict[str, Tensor]:
        open_clip = _import_open_clip()
        tags = open_clip.list_pretrained_tags_by_model(self.name)
        if tag not in tags:
            raise CheckpointError(f'weights "{tag}": no such file, and no tag of {self.name}; tags: {", ".join(tags)}')
        print_log(f'fetching the weights "{tag}" of {self.name}', logger='current')
        try:
            with _quiet():
                return open_clip.create_model(self.name, pretrained=tag, precision='fp32').state_dict()
        except (OSError, RuntimeError, ImportError) as error:  # every kind of network trouble
            first = (str(error).strip().splitlines() or [type(error).__name__])[0].partition('. ')[0]
            raise CheckpointError(
                f'weights "{tag}" of {self.name} cannot be fetched ({first}); where there is no network, give '
                'the path of a file in open_clip format'
            ) from error

    def _layers(self):
        visual, text = self.model.visual, getattr(self.model, 'text', self.model)
        if not hasattr(visual, 'transformer'):
            raise ConfigError('train_last works on transformers; use a ViT architecture, or train_last=None')
        ends = [visual.ln_post, visual.proj, text.ln_final, text.text_projection]
        towers = [visual.transformer.resblocks, text.transformer.resblocks]
        return towers, [end for end in ends if end is not None]

    def encode_images(self, pixels: Tensor) -> Tensor:
        self.check_size(pixels)
        return unit(self.model.encode_image(pixels))

    def encode_texts(self, texts: list[str]) -> Tensor:
        if hasattr(self.tokenizer, 'encode'):
            lengths = [len(self.tokenizer.encode(text)) + 2 for text in texts]  # with start and end
            self._warn_of_cut(texts, lengths, self.max_tokens)
        tokens = self.tokenizer(texts).to(self.model.logit_scale.device)
        return unit(self.model.encode_text(tokens))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries log on the way: a page of retries and warnings for one missing network."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _import_open_clip():
    try:
        import open_clip
    except ImportError as error:
        raise ConfigError(
            'OpenCLIPRetrieval needs the package open_clip, which is not installed; pip install open_clip_torch, or '
            'use HFCLIPRetrieval'
        ) from error
    return open_clip


@MODELS.register_module()
class HFCLIPRetrieval(TwoTowerCLIP):
    """A CLIP in the format of the transformers library.

    Args:
        folder: with ``config.json``, tokenizer files and, unless a checkpoint brings them,
            ``model.safetensors``; or a hub name where there is a network.
        pretrained: load its weights when training starts, or before a test without a checkpoint; False
            starts from random ones.
        kwargs: ``train_last``, ``loss``, ``mean``, ``std``, ``init_cfg`` of :class:`TwoTowerCLIP`.

    Raises:
        ConfigError: the folder is no CLIP.
    """

    def __init__(self, folder: str, pretrained: bool = True, **kwargs) -> None:
        from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

        _require_files(folder)
        with _one_line(folder):
            config: Any = CLIPConfig.from_pretrained(folder)
            tokenizer = CLIPTokenizer.from_pretrained(folder)
        super().__init__(CLIPModel(config), config.vision_config.image_size, **kwargs)
        self.folder, self.pretrained, self.tokenizer = folder, pretrained, tokenizer
        self.max_tokens = config.text_config.max_position_embeddings

    def init_weights(self) -> None:
        """Load the folder's weights where ``pretrained`` is set.

        Raises:
            ConfigError: it has none.
        """
        super().init_weights()
        if self.pretrained:
            from transformers import CLIPModel

            with _one_line(self.folder):
                self.model.load_state_dict(CLIPModel.from_pretrained(self.folder).state_dict())

    def _layers(self):
        vision, text = self.model.vision_model, self.model.text_model
        ends = [vision.post_layernorm, self.model.visual_projection, text.final_layer_norm, self.model.text_projection]
        return [vision.encoder.layers, text.encoder.layers], ends

    def encode_images(self, pixels: Tensor) -> Tensor:
        self.check_size(pixels)
        return unit(self.model.get_image_features(pixel_values=pixels).pooler_output)

    def encode_texts(self, texts: list[str]) -> Tensor:
        whole = self.tokenizer(texts, verbose=False)['input_ids']
        self._warn_of_cut(texts, map(len, whole), self.max_tokens)
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=self.max_tokens, return_tensors='pt')
        tokens = {key: value.to(self.model.logit_scale.device) for key, value in tokens.items()}
        return unit(self.model.get_text_features(**tokens).pooler_output)


def _require_files(folder: str) -> None:
    """transformers takes a CLIP of default size, with an empty tokenizer, from a folder that has none."""
    path = Path(folder)
    for names in (('config.json',), ('tokenizer.json', 'vocab.json')):
        if path.is_dir() and not any((path / name).is_file() for name in names):
            raise ConfigError(
                f'CLIP "{folder}" has no {" or ".join(names)}; give a folder in the format of transformers'
            )


@contextmanager
def _one_line(folder: str) -> Iterator[None]:
    """Report what transformers raises for a folder as one line."""
    try:
        yield
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f'CLIP "{folder}" is no usable folder here and cannot be fetched ({first}); give a folder with '
            'config.json, the tokenizer and model.safetensors'
        ) from error
