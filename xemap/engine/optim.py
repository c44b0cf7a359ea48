"""An optimizer of the trainable parameters only."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from xemap.errors import ConfigError
from xemap.registry import OPTIM_WRAPPER_CONSTRUCTORS, suggestion

PARAMWISE_KEYS = {
    'bias_decay_mult', 'bias_lr_mult', 'bypass_duplicate', 'custom_keys', 'dcn_offset_lr_mult',
    'dwconv_decay_mult', 'flat_decay_mult', 'norm_decay_mult',
}  # fmt: skip


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableParamsConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, which refuses misspelled options and takes frozen parameters out.

    MMEngine hands frozen parameters to the optimizer too; they cost state in checkpoints and a later
    ``requires_grad_`` would silently train them. It ignores keys of ``paramwise_cfg`` that it does not know and
    ``custom_keys`` that are in no parameter's name. Here those of a part that the config leaves out, as
    ``prompts.prompts`` of a CroBIM with ``prompts=None``, are harmless; others are refused.

    Raises:
        ConfigError: such a key, or nothing is trainable.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        self._refuse_unknown_keys(model)
        wrapper = super().__call__(model)
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group['params'] = [p for p in group['params'] if p.requires_grad]
        groups[:] = [group for group in groups if group['params']]
        if not groups:
            raise ConfigError('no parameter of the model is trainable; take parts out of model.frozen')
        return wrapper

    def _refuse_unknown_keys(self, model: nn.Module) -> None:
        place = 'optim_wrapper.paramwise_cfg'
        for key in self.paramwise_cfg.keys() - PARAMWISE_KEYS:
            raise ConfigError(f'{place}: unknown key "{key}"; {suggestion(key, PARAMWISE_KEYS)}')
        names = [name for name, _ in model.named_parameters()]
        modules = {part for name in names for part in (name.split('.')[0], name.rpartition('.')[0])}
        options = {'lr_mult', 'decay_mult', *self.optimizer_cfg} - {'type'}
        left_out = {name for name, part in vars(getattr(model, 'module', model)).items() if part is None}
        for key, values in self.paramwise_cfg.get('custom_keys', {}).items():
            if not any(key in name for name in names) and key.split('.')[0] not in left_out:
                raise ConfigError(
                    f'{place}.custom_keys: "{key}" is in no name of a parameter; {suggestion(key, modules)}'
                )
            for option in values.keys() - options:
                raise ConfigError(f'{place}.custom_keys.{key}: unknown key "{option}"; {suggestion(option, options)}')
