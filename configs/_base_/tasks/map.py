# The answer is a map: MCMG targets and the SeLo metrics. Floor and ceiling are not computed again in each validation.
target = dict(type='GenerateMaps')
val_evaluator = dict(type='SeLoMetric', with_bounds=False)
test_evaluator = dict(type='SeLoMetric')
