# The same on the narrow AMFMN that configs/retrieval/amfmn_small_synthetic.py trains in minutes.
_base_ = ['./selo_v2_amfmn.py', '../_base_/models/amfmn_small.py']
model = dict(retrieval=_base_.retrieval)
