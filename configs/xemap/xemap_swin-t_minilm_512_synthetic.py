# The paper's network from scratch on synthetic scenes: only the text encoder, MiniLM, is pretrained and frozen, so the
# layer scale of the fusion starts at 1, the relation blocks learn what phrases name, and the rest is as in
# xemap_swin-t_bert_512_25e_words.py.
#   python tools/data/make_synthetic.py --out data/synthetic_512 --sizes 512 --train 20000 --val 48 --test 200 \
#       --pairs-in-train
_base_ = [
    '../_base_/models/xemap_network.py',
    '../_base_/datasets/synthetic_512.py',
    '../_base_/tasks/map.py',
    '../_base_/schedules/adamw_small_cosine.py',
    '../_base_/default_runtime.py',
]
phrases = dict(type='GeneratePhrases', size=(64, 64))
train_pipeline = [*_base_.train_pipeline[:-2], phrases, *_base_.train_pipeline[-2:]]

model = dict(
    backbone=dict(init_cfg=None),
    language_model=dict(name='minilm'),
    encoder=dict(fusion_layer_cfg=dict(init_values=1.0, with_positions=True), relation_cfg=dict(level=1)),
    head=dict(loss=dict(_delete_=True, type='BalancedMapCELoss'), logit_scale=5.0, contrast_weight=1.0),
    frozen=('language_model',),
    phrase_weight=1.0,
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=2e-4))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=100))
