# Everything trains; the pretrained encoders at a tenth of the rate, with clipped gradients.
_base_ = './xemap_swin-t_bert_512_25e.py'
model = dict(frozen=())
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1), 'language_model': dict(lr_mult=0.1)}),
)
