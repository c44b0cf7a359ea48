# As the authors' code: BGR images with the mean and deviation of RGB, input coordinates from 0 to 639, truncated truth,
# padding of words seen by the fusion, and their test protocol. Golden values and their checkpoints belong to it.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(legacy=True, data_preprocessor=dict(rgb_to_bgr=True))
val_evaluator = dict(protocol='legacy')
test_evaluator = dict(protocol='legacy')
