# Ours: Swin-T in ResNet-50's place, all of it trained. DETR's weights do not fit it, so decoder, encoder and fusion
# start from random ones and train at 1e-4; backbone and BERT at 1e-5.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        drop_path_rate=0.2,
        out_indices=(3,),
        convert_weights=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
            'swin_tiny_patch4_window7_224.pth',
        ),
    ),
    in_channels=768,
    detr=None,
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(
        _delete_=True, custom_keys={'backbone': dict(lr_mult=0.1), 'language_model': dict(lr_mult=0.1)}
    ),
)
