# The synthetic scenes (tools/data/make_synthetic.py) at full size, for testing localizers that never train on maps.
# Other data: --cfg-options test_dataloader.dataset.data_root=data/mine/
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='PackXeMapInputs'),
]
test_dataloader = dict(
    batch_size=1,  # images have different sizes, and one fills the memory
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset',
        data_root='data/synthetic/',
        ann_file='test.arrow',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_cfg = dict(type='TestLoop')
