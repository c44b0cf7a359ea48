# The answer is a box: meanIoU, cumIoU and Pr@X of boxes. The floors, the box of
# the whole image and the mean box of the training queries, are not computed again in each validation.
target = dict(type='GenerateBoxes')
val_evaluator = dict(type='BoxMetric', with_bounds=False)
test_evaluator = dict(type='BoxMetric', mean_box='train')
