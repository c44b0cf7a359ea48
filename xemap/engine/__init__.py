from xemap.config import load_config
from xemap.engine.checkpoint import find_newest_checkpoint
from xemap.engine.checkpoint_hook import CheckpointHook
from xemap.engine.constant_maps_hook import ConstantMapsHook
from xemap.engine.cpu_time_hook import CPUTimeHook
from xemap.engine.draw_hook import DrawHook
from xemap.engine.evaluate import evaluate_model, score_dump
from xemap.engine.loops import EpochBasedTrainLoop
from xemap.engine.optim import TrainableParamsConstructor
from xemap.engine.randomness import SeedByIterationHook
from xemap.engine.runner import XeMapRunner
from xemap.engine.runner_setup import build_runner, train_model

__all__ = [
    'CPUTimeHook',
    'CheckpointHook',
    'ConstantMapsHook',
    'DrawHook',
    'EpochBasedTrainLoop',
    'SeedByIterationHook',
    'TrainableParamsConstructor',
    'XeMapRunner',
    'build_runner',
    'evaluate_model',
    'find_newest_checkpoint',
    'load_config',
    'score_dump',
    'train_model',
]
