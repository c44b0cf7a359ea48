"""A config small enough to be measured in a test."""

from __future__ import annotations

from mmengine.config import Config

from tests.models.tiny import tiny_network

SIZE = (32, 48)


def config(pairs=5, max_queries=3, **changes) -> Config:
    pipeline = [
        dict(type='LoadImage'), dict(type='ResizeImage', size=SIZE), dict(type='PhotometricAugment'),
        dict(type='GenerateMaps'), dict(type='PackXeMapInputs'),
    ]  # fmt: skip
    dataset = dict(type='XeMapDataset', ann_file='absent.arrow', pipeline=pipeline, max_queries=max_queries)
    return Config(
        dict(
            model=tiny_network(),
            train_dataloader=dict(
                batch_size=2, batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=pairs), dataset=dataset
            ),
            optim_wrapper=dict(
                type='OptimWrapper',
                constructor='TrainableParamsConstructor',
                accumulative_counts=4,
                optimizer=dict(type='AdamW', lr=1e-3),
            ),
        )
        | changes
    )


def write(cfg: Config, path) -> str:
    cfg.dump(path)
    return str(path)


def pairs_of(batch) -> list[tuple[int, str]]:
    """(checksum of the image, text) of each pair."""
    images = [int(image.long().sum()) for image in batch['inputs']]
    return [(image, text) for image, sample in zip(images, batch['data_samples']) for text in sample.texts]
