# MLCM's: AdamW, weight decay 1e-4, 150 epochs, all rates x 0.1 from epoch 60 on. Fusion and head at 1e-4, everything
# before them, new parts too, at 1e-5.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=150, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='TrainableParamsConstructor',
    optimizer=dict(type='AdamW', lr=1e-5, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'fusion': dict(lr_mult=10.0), 'head': dict(lr_mult=10.0)}),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[60], gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=8)
