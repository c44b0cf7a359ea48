# Paper section V.A: AdamW, lr 1e-3, weight decay 1e-4, 25 epochs, 400 pairs per step; no schedule is named.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=25, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='TrainableParamsConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
)

# --auto-scale-lr: the learning rate above belongs to this many pairs per step over all ranks.
auto_scale_lr = dict(enable=False, base_batch_size=400)
