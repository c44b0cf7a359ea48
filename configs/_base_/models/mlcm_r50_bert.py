# MLCM: ResNet-50 with frozen norm, stem and first stage, BERT base, L = 1 decoder layer, six encoder and six fusion
# layers, box head. DETR-R50's weights initialize backbone, projection, encoder and fusion: by address; a file works as
# well.
model = dict(
    type='MLCM',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(3,),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
    ),
    language_model=dict(type='WordSentenceEncoder', name='bert-base-uncased', layers=4),
    head=dict(type='BoxHead'),
    detr='https://dl.fbaipublicfiles.com/detr/detr-r50-e632da11.pth',
)
