# CroBIM as in the paper on ConvNeXt-B. The authors start from their own self-supervised weights (SMLFR), which are
# not to be had by address: give their file as model.backbone.checkpoint, or True to model.backbone.pretrained.
model = dict(
    type='CroBIM',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    backbone=dict(type='TimmBackbone', name='convnext_base.fb_in22k', norm=True, options=dict(drop_path_rate=0.3)),
    language_model=dict(name='bert-base-uncased', max_tokens=20),
    in_channels=(128, 256, 512, 1024),
    prompts=dict(),
    compensation=dict(),
    decoder=dict(),
)
