# Learning rates as printed: 1e-5 for what starts from pretrained weights, 1e-4 for the rest.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
_pretrained = dict(lr_mult=0.1)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={
            'backbone': _pretrained,
            'levels.input_proj': _pretrained,
            'encoder': _pretrained,
            'fusion.layers': _pretrained,
            'language_model': _pretrained,
        },
    ),
)
