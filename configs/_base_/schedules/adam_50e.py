# AMFMN's: Adam 2e-4 times 0.7 every 20 epochs, 50 epochs, 100 pairs per step; gradients clipped as in VSE++.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='TrainableParamsConstructor',
    optimizer=dict(type='Adam', lr=2e-4),
    clip_grad=dict(max_norm=2.0, norm_type=2),
)
param_scheduler = [dict(type='StepLR', step_size=20, gamma=0.7, by_epoch=True)]
