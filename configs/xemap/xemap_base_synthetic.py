# Longer than the quickstart, for reading relations: the same network with relation blocks that learn what the
# phrases of a sentence name, on scenes whose queries come with minimal pairs, five epochs; 94 minutes on one CPU
# core, minutes on a GPU.
#   python tools/data/make_synthetic.py --out data/synthetic_base --train 4000 --val 40 --test 200 --seed 7 \
#       --pairs-in-train
_base_ = 'xemap_small_synthetic.py'
data_root = 'data/synthetic_base/'
phrases = dict(type='GeneratePhrases', size=(32, 32))
resize = dict(type='ResizeImage', size=_base_.image_size)
train_pipeline = [_base_.train_pipeline[0], resize, *_base_.train_pipeline[2:-2], phrases, *_base_.train_pipeline[-2:]]

model = dict(
    backbone=dict(norm_cfg=dict(_delete_=True, type='BN'), norm_eval=False),  # of which docs/learning.md tells
    encoder=dict(relation_cfg=dict()),
    phrase_weight=1.0,
)
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_epochs=5, val_interval=1)

# Often enough that a run of hours, or of a GPU's minutes, loses little when it is stopped.
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=250))
