"""Maps in a file are those in memory, and what has no data takes no room."""

from __future__ import annotations

import os

import numpy as np
import pytest

from xemap.inference.map_store import BLOCK, MapStore

SIZE = (40, 3 * BLOCK + 100)


@pytest.fixture
def stores(tmp_path):
    """The same maps in a file and in memory: two blocks of two with data, one row, and all."""
    rng = np.random.default_rng(0)
    stores = MapStore(3, SIZE, tmp_path, in_memory=0), MapStore(3, SIZE)
    for query, valid in enumerate(np.zeros((3, *SIZE), bool)):
        if query == 0:
            valid[5:9, BLOCK - 2 : BLOCK + 3] = valid[30, -1] = True
        elif query == 1:
            valid[17] = True
        rows = rng.random(SIZE, dtype=np.float32)
        for store in stores:
            for top in range(0, SIZE[0], 10):
                given = None if query == 2 else valid[top : top + 10]
                store.write(query, top, rows[top : top + 10], given)
    return stores


def test_file_and_memory_are_equal(stores):
    in_file, in_memory = stores
    for query in range(3):
        for rows in (7, 10, 40):
            for (top, one), (_, other) in zip(in_file.strips(query, rows), in_memory.strips(query, rows)):
                np.testing.assert_array_equal(one, other, err_msg=f'{query} {rows} {top}')
        np.testing.assert_array_equal(
            in_file.resized(query, (80, 90), 3, 50), in_memory.resized(query, (80, 90), 3, 50)
        )
    assert np.isnan(in_memory.array()).mean((1, 2)) == pytest.approx([1 - 21 / (40 * SIZE[1]), 1 - 1 / 40, 0])
    np.testing.assert_array_equal(in_file.array(), in_memory.array())


def test_rows_can_be_written_again(stores):
    for store in stores:
        store.write(0, 3, np.full((30, SIZE[1]), 0.5, np.float32))
        assert (store.read(0, 3, 33) == 0.5).all() and np.isnan(store.read(0, 0, 3)).all()


def test_blocks_without_data_take_no_room(tmp_path):
    store = MapStore(1, (600, 20 * BLOCK), tmp_path, in_memory=0)
    valid = np.zeros((600, 20 * BLOCK), bool)
    valid[::7, 5 * BLOCK] = True
    store.write(0, 0, np.ones(valid.shape, np.float32), valid)
    store._file.flush()
    assert os.fstat(store._file.fileno()).st_blocks * 512 < 4 * 600 * 3 * BLOCK
    np.testing.assert_array_equal(np.isnan(store.read(0, 0, 600)), ~valid)
