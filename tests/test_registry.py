from __future__ import annotations

import pytest
from mmengine.hooks import Hook

from xemap.errors import ConfigError
from xemap.registry import BY_NAME, DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS, build_part, check_config, unknown_type


@pytest.fixture
def register(monkeypatch):
    """Registers a class of the package's for one test."""

    def add(cls, registry=TRANSFORMS):
        monkeypatch.setattr(cls, '__module__', 'xemap.test')
        monkeypatch.setitem(registry._module_dict, cls.__name__, cls)

    return add


class Base:
    def __init__(self, low: int = 0, high: int = 1):
        self.limits = low, high


class Passing(Base):
    def __init__(self, scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale


class Closed(Base):
    def __init__(self, scale: float = 1.0):
        super().__init__()


def test_own_then_mmdet_then_mmengine_modules_are_found():
    assert HOOKS.get('CheckpointHook').__module__ == 'xemap.engine.checkpoint_hook'
    assert MODELS.get('SwinTransformer').__module__.startswith('mmdet.')
    assert MODELS.get('ImgDataPreprocessor').__module__.startswith('mmengine.')
    assert HOOKS.get('IterTimerHook').__module__.startswith('mmengine.')
    for registry, name in ((DATASETS, 'XeMapDataset'), (METRICS, 'SeLoMetric'), (MODELS, 'XeMapNetwork')):
        assert registry.get(name).__module__.startswith('xemap.')


def test_every_registry_of_a_runner_has_our_scope():
    assert {registry.scope for registry in BY_NAME.values()} == {'xemap'}
    assert {'model', 'loop', 'optimizer', 'optim_wrapper', 'parameter scheduler', 'visualizer'} <= BY_NAME.keys()


def test_unknown_key_of_ours_when_built(register):
    register(Passing)
    assert TRANSFORMS.build(dict(type='Passing', low=2, scale=3.0)).limits == (2, 1)
    with pytest.raises(ConfigError, match=r'config of Passing: unknown key "hihg" \(value 2\); did you mean "high"\?'):
        TRANSFORMS.build(dict(type='Passing', hihg=2))
    with pytest.raises(ConfigError, match='unknown key "zzz".*known: high, low, scale'):
        TRANSFORMS.build(dict(type=Passing, zzz=2))


def test_a_class_without_kwargs_does_not_take_its_parents_keys(register):
    register(Closed)
    with pytest.raises(ConfigError, match='unknown key "low"'):
        TRANSFORMS.build(dict(type='Closed', low=2))


def test_options_of_a_part_are_checked():
    assert build_part(Passing, 'part', dict(low=2), 3.0).limits == (2, 1)
    assert build_part(Passing, 'part', None).scale == 1.0
    with pytest.raises(ConfigError, match=r'part \(Passing\): unknown key "hihg" \(value 2\); did you mean "high"\?'):
        build_part(Passing, 'part', dict(hihg=2))
    for given in ('scale', 'type'):  # the first comes from the module, and no registry looks for a class
        with pytest.raises(ConfigError, match=f'unknown key "{given}"'):
            build_part(Passing, 'part', {given: 2.0}, 3.0)
    with pytest.raises(ConfigError, match='part is 3; give a dictionary with keys of high, low, scale'):
        build_part(Passing, 'part', 3)


def test_classes_of_others_are_left_alone(monkeypatch):
    monkeypatch.setitem(TRANSFORMS._module_dict, 'Closed', Closed)
    with pytest.raises(TypeError, match='unexpected keyword'):
        TRANSFORMS.build(dict(type='Closed', low=2))


def test_whole_config_is_checked_in_depth(register):
    register(Passing)
    pipeline = [dict(type='LoadImage'), dict(type='Passing', low=1)]
    cfg = dict(train=dict(dataset=dict(type='XeMapDataset', ann_file='a', pipeline=pipeline)))
    check_config(cfg)
    pipeline[1]['lwo'] = 1
    with pytest.raises(ConfigError, match=r'train\.dataset\.pipeline\.1 \(Passing\): unknown key "lwo"'):
        check_config(cfg)


def test_priority_is_a_key_of_every_hook(register):
    class MyHook(Hook):
        def __init__(self, interval: int = 1):
            self.interval = interval

    register(MyHook, HOOKS)
    check_config(dict(custom_hooks=[dict(type='MyHook', priority='LOW')]))
    with pytest.raises(ConfigError, match='custom_hooks.0'):
        check_config(dict(custom_hooks=[dict(type='MyHook', prioritty='LOW')]))


def test_unknown_type_names_the_nearest():
    assert 'did you mean "SwinTransformer"' in str(unknown_type('SwinTransfomer', 'model', 'model.backbone'))
    assert 'custom_imports' in str(unknown_type('Zzzzzz', 'model', 'model'))
