# The answer is a mask. Tests score it at the images' own size, and as the code behind the published tables of referring
# segmentation does: at the size of the network's input, with IoU >= X, and 0 for two empty masks.
target = dict(type='GenerateMasks')
val_evaluator = dict(type='MaskMetric', with_bounds=False)
test_evaluator = [
    dict(type='MaskMetric'),
    dict(type='MaskMetric', size=(480, 480), strict=False, empty=0, prefix='published'),
]
