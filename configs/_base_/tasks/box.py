# The answer is a box: meanIoU, cumIoU and Pr@X of boxes. The floor is not computed again in each validation.
target = dict(type='GenerateBoxes')
val_evaluator = dict(type='BoxMetric', with_bounds=False)
test_evaluator = dict(type='BoxMetric')
