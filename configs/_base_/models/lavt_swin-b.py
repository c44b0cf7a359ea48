# LAVT on Swin-B, as the tables of referring segmentation have it: cross entropy alone.
model = dict(
    type='LAVT',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    # ImageNet-22K weights by address; a file works as well.
    backbone=dict(
        type='SwinTransformer',
        pretrain_img_size=384,
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=12,
        drop_path_rate=0.3,
        convert_weights=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
            'swin_base_patch4_window12_384_22k.pth',
        ),
    ),
    language_model=dict(name='bert-base-uncased', max_tokens=20),
    in_channels=(128, 256, 512, 1024),
    head=dict(width=512),
)
