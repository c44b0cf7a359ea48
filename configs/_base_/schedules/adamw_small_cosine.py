# From scratch in minutes: a short warm-up to a high rate, then a cosine to zero.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='TrainableParamsConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=112),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=112),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
