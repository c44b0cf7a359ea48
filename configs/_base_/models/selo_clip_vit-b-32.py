# CLIP ViT-B/32 of open_clip. RemoteCLIP or GeoRSCLIP: --cfg-options model.retrieval.weights=FILE.
model = dict(type='SeLoLocalizer', retrieval=dict(type='OpenCLIPRetrieval', name='ViT-B-32', weights='openai'))
