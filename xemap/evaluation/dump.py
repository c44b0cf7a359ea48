"""Answers on disk, so that every metric can be computed again without the model.

A dump is a folder with one ``NNNNNN.npz`` per image, named by its ``sample_idx``: arrays only, nothing in it is
executed when it is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from xemap.errors import DataError
from xemap.files import write_bytes
from xemap.structures.answers import FORMS, Answers, BoxAnswers


class AnswerDump(BaseMetric):
    """Writes every answer as the model gave it, at its own resolution; has no results.

    Args:
        folder: where to write; made if needed.
    """

    default_prefix = ''

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            write_answers(
                self.folder, int(sample['sample_idx']), sample['answers'], [q.text for q in sample['queries']]
            )

    def evaluate(self, size: int) -> dict:
        return {}

    def compute_metrics(self, results: list) -> dict:
        return {}


def write_answers(folder: Path, sample_idx: int, answers: Answers, texts: Sequence[str]) -> None:
    """Write the answers to an image's queries; ``texts`` are kept to check that a reader asks for the same."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, form=np.array(answers.form), data=answers.data, size=np.array(answers.size),
        scores=answers.scores, presence=answers.presence, texts=np.array(list(texts), dtype=np.str_),
    )  # fmt: skip
    write_bytes(folder / f'{sample_idx:06d}.npz', buffer.getvalue())


def read_answers(folder: str | Path, sample_idx: int, texts: Sequence[str]) -> Answers:
    """The answers to an image's queries.

    Raises:
        DataError: the file is missing or damaged, or holds answers to other texts.
    """
    path = Path(folder, f'{sample_idx:06d}.npz')
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = {name: file[name] for name in ('form', 'data', 'size', 'scores', 'presence', 'texts')}
        kind = FORMS[str(parts['form'])]
        given = {'scores': parts['scores'], 'presence': parts['presence']}
        size = int(parts['size'][0]), int(parts['size'][1])
        answers = BoxAnswers(parts['data'], size, **given) if kind is BoxAnswers else kind(parts['data'], **given)
    except FileNotFoundError as error:
        raise DataError(f'{path} does not exist; tools/test.py --dump writes the answers to every image') from error
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f'{path} is damaged or no file of answers ({error}); dump the answers again') from error
    if parts['texts'].tolist() != list(texts):
        raise DataError(f'{path} holds answers to other queries than the annotation file has; dump the answers again')
    return answers
