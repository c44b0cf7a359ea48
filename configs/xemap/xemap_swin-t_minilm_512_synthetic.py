# The paper's network from scratch on synthetic scenes: only the text encoder, MiniLM, is pretrained and frozen, so the
# layer scale of the fusion starts at 1, the loss is the balanced one and the gradients are clipped.
#   python tools/data/make_synthetic.py --out data/synthetic_512 --sizes 512 --train 20000 --val 48 --test 200
_base_ = [
    '../_base_/models/xemap_network.py',
    '../_base_/datasets/synthetic_512.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(init_cfg=None),
    language_model=dict(name='minilm'),
    encoder=dict(fusion_layer_cfg=dict(init_values=1.0)),
    head=dict(loss=dict(_delete_=True, type='BalancedMapL1Loss')),
    frozen=('language_model',),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=100))
