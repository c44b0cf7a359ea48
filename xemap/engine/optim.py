"""An optimizer of the trainable parameters only."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from xemap.errors import ConfigError
from xemap.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableParamsConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, after which frozen parameters are taken out.

    MMEngine hands frozen parameters to the optimizer too; they cost state in checkpoints and a later
    ``requires_grad_`` would silently train them.

    Raises:
        ConfigError: nothing is trainable.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        wrapper = super().__call__(model)
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group['params'] = [p for p in group['params'] if p.requires_grad]
        groups[:] = [group for group in groups if group['params']]
        if not groups:
            raise ConfigError('no parameter of the model is trainable; take parts out of model.frozen')
        return wrapper
