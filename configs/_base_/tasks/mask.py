# The answer is a mask: oIoU, mIoU and Pr@X of masks. The floor is not computed again in each validation.
target = dict(type='GenerateMasks')
val_evaluator = dict(type='MaskMetric', with_bounds=False)
test_evaluator = dict(type='MaskMetric')
