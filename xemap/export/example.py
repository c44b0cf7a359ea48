"""Runs an exported model without torch: python example.py [IMAGE QUERY …]; without arguments it checks itself."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder = Path(__file__).resolve().parent
about = json.loads((folder / 'export.json').read_text())
names = about['reference']['inputs'], about['reference']['outputs']
session = onnxruntime.InferenceSession(folder / 'model.onnx', providers=['CPUExecutionProvider'])

if len(sys.argv) < 3:
    reference = np.load(folder / 'reference.npz')
    results = session.run(names[1], {name: reference[name] for name in names[0]})
    print('largest difference:', max(float(np.abs(a - reference[n]).max()) for n, a in zip(names[1], results)))
else:
    size, image = (about['image']['height'], about['image']['width']), cv2.imread(sys.argv[1])
    assert image is not None, f'{sys.argv[1]} is no image that OpenCV reads'
    assert not about['image']['resize']['keeps_aspect_ratio'], 'letterbox the image, see docs/export.md'
    smaller = min(size[1], image.shape[1]), min(size[0], image.shape[0])
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)  # a side that shrinks
    image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)  # a side that grows
    image = image if about['image']['channels'] == 'BGR' else image[..., ::-1]
    image = ((image - about['image']['mean']) / about['image']['std']).astype(np.float32).transpose(2, 0, 1)[None]
    tokenizer = Tokenizer.from_file(str(folder / 'tokenizer/tokenizer.json'))
    most = about['text']['max_tokens']
    tokenizer.no_truncation()
    if about['text']['keeps_end']:  # a text that is cut ends with the tokenizer's special token
        tokenizer.enable_truncation(most)
    tokenizer.enable_padding(length=most if about['text']['padding'] == 'max_length' else None)
    texts = tokenizer.encode_batch(sys.argv[2:])
    ids, mask = (np.array([getattr(text, key)[:most] for text in texts]) for key in ('ids', 'attention_mask'))
    given = {'image': image, 'token_ids': ids, 'attention_mask': mask, 'image_idx': np.zeros(len(ids), np.int64)}
    given['padding'] = np.zeros((1, *size), bool)
    for name, result in zip(names[1], session.run(names[1], {name: given[name] for name in names[0]})):
        print(name, result.shape, result.min(), result.max())
