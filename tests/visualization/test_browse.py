"""Pages and pictures of a data set show the right query, image, outline and target."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.datasets.toy import write_toy
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.datasets.mcmg import correlation_map
from xemap.errors import ConfigError, DataError
from xemap.structures import ImageRecord, MaskRegion, PolygonRegion, Query
from xemap.visualization import draw_outlines, overlay
from xemap.visualization.browse import browse
from xemap.visualization.examples import read_examples
from xemap.visualization.overlay import OUTLINE

NASTY = '</h2><script>alert(1)</script> & "quotes" \'<img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and the text of every heading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.headings: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == 'h2':
            self.headings.append('')

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == 'h2':
            self.headings[-1] += data.rstrip('\n')

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding='utf-8'))


def pixels(uri: str) -> np.ndarray:
    head, _, code = uri.partition(',')
    assert head == 'data:image/jpeg;base64'
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code, validate=True))))


@pytest.fixture
def toy(tmp_path) -> Path:
    return write_toy(tmp_path)


def test_a_page_shows_each_query_with_outline_and_target(toy, tmp_path) -> None:
    done = browse(toy, tmp_path, tmp_path / 'out')
    assert done['queries'] == 11 and done['images'] == 4 and done['problems'] == []
    assert done['files'] == [tmp_path / 'out/page-001.html']
    page = read_page(done['files'][0])
    pairs = [(record, query) for record in AnnotationFile(toy) for query in record.queries]
    assert page.headings == [query.text for _, query in pairs]
    assert [card['data-kind'] for card in page.of('article')] == [query.kind for _, query in pairs]
    assert [card['data-source'] for card in page.of('article')] == [record.source for record, _ in pairs]
    images = [pixels(image['src']) for image in page.of('img')][1:]  # the first is the color bar
    for (record, query), outlined, target in zip(pairs, images[::2], images[1::2], strict=True):
        rgb = cv2.imread(str(tmp_path / record.image))[..., ::-1]
        drawn = draw_outlines(rgb, query.region.polygons(record.size), 1)
        expected = overlay(rgb, correlation_map(query.region.coverage(record.size, record.size)))
        for shown, expected_pixels in ((outlined, drawn), (target, expected)):
            assert shown.shape == expected_pixels.shape  # no enlargement
            assert np.abs(shown.astype(int) - expected_pixels).mean() < 12  # JPEG of noise


def test_pages_need_nothing_else_and_text_stays_text(tmp_path) -> None:
    region = PolygonRegion([[1, 1, 30, 1, 30, 20]])
    queries = [Query(NASTY, region, category='"><b>', kind=None), Query('سوق', region)]
    write_annotations(tmp_path / 'a.arrow', [ImageRecord('a.png', 40, 30, '"><i>', queries)])
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((30, 40, 3), np.uint8))
    (path,) = browse(tmp_path / 'a.arrow', tmp_path, tmp_path / 'out')['files']
    page = read_page(path)
    assert page.headings == [NASTY, 'سوق']
    assert [card['data-source'] for card in page.of('article')] == ['"><i>'] * 2
    assert len(page.of('script')) == 1 and not page.of('b') and not page.of('i') and not page.of('link')
    assert all(tag.get('src', 'data:').startswith('data:') for _, tag in page.tags)
    assert not any(name.startswith('on') for _, tag in page.tags for name in tag)
    assert 'http' not in re.sub('http-equiv', '', path.read_text(encoding='utf-8'))
    assert "default-src 'none'" in page.of('meta')[2]['content']


def test_pages_are_linked_and_those_of_a_longer_call_go(toy, tmp_path) -> None:
    out = tmp_path / 'out'
    files = browse(toy, tmp_path, out, per_page=4)['files']
    assert [path.name for path in files] == ['page-001.html', 'page-002.html', 'page-003.html']
    assert [len(read_page(path).headings) for path in files] == [4, 4, 3]
    links = [[link['href'] for link in read_page(path).of('a')] for path in files]
    assert links == [['page-002.html'], ['page-001.html', 'page-003.html'], ['page-002.html']]
    browse(toy, tmp_path, out, per_page=6)
    assert sorted(path.name for path in out.iterdir()) == ['page-001.html', 'page-002.html']
    assert sum((read_page(path).headings for path in sorted(out.iterdir())), []) == [
        query.text for record in AnnotationFile(toy) for query in record.queries
    ]


def test_filters_and_a_limit_are_shown(toy, tmp_path) -> None:
    filters = {'kinds': ['one-hop'], 'multi_ref': None, 'limit': 3, 'seed': 5}
    (path,) = browse(toy, tmp_path, tmp_path / 'out', filters)['files']
    assert {card['data-kind'] for card in read_page(path).of('article')} == {'one-hop'}
    text = path.read_text(encoding='utf-8')
    assert 'toy.arrow: 3 of 11 queries' in text and 'limit: 3, seed: 5' in text and 'multi_ref' not in text


def test_an_interruption_leaves_whole_pages_only(toy, tmp_path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 11
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        browse(toy, tmp_path, tmp_path / 'out', per_page=4, progress=stop)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['page-001.html']
    assert len(read_page(tmp_path / 'out/page-001.html').headings) == 4


def test_pictures(toy, tmp_path) -> None:
    done = browse(toy, tmp_path, tmp_path / 'out', {'sources': ['b']}, pictures=True)
    assert [path.name for path in done['files']] == ['00003_q00_3.png']
    record = AnnotationFile(toy)[3]
    small = np.asarray(Image.open(done['files'][0]))
    bright = (small == OUTLINE).all(-1)
    assert small.shape[1] > 2 * record.width and bright.any()


def test_an_image_that_cannot_be_used_is_named_and_the_rest_shown(toy, tmp_path) -> None:
    (tmp_path / '0.png').unlink()
    (tmp_path / '2.png').write_bytes(b'no image')
    cv2.imwrite(str(tmp_path / '3.png'), np.zeros((5, 6, 3), np.uint8))
    done = browse(toy, tmp_path, tmp_path / 'out')
    first, second, third = done['problems']
    assert '0.png does not exist' in first and '2.png' in second and '3.png is 6 x 5 pixels' in third
    text = done['files'][0].read_text(encoding='utf-8')
    assert text.count('class="problem"') == 2 + 5 + 1 and len(read_page(done['files'][0]).headings) == 11


def test_a_wrong_data_root_writes_nothing(toy, tmp_path) -> None:
    with pytest.raises(DataError, match=r'none of the first 4 images exists, as .*0\.png; check the data root'):
        browse(toy, tmp_path / 'elsewhere', tmp_path / 'out')
    with pytest.raises(ConfigError, match='per_page=0'):
        browse(toy, tmp_path, tmp_path / 'out', per_page=0)
    assert not (tmp_path / 'out').exists()


def test_large_images_are_shrunk_with_their_outlines(tmp_path) -> None:
    image = np.full((3000, 4000, 3), 200, np.uint8)
    image[1000:2000, 1000:3000] = (10, 10, 200)
    cv2.imwrite(str(tmp_path / 'a.jpg'), image)
    mask = np.zeros((3000, 4000), bool)
    mask[1000:2000, 1000:3000] = True
    mask[1300:1700, 1600:2400] = False
    box = PolygonRegion([[1000, 1000, 3000, 1000, 3000, 2000, 1000, 2000]])
    queries = [Query('box', box), Query('ring', MaskRegion.from_mask(mask))]
    write_annotations(tmp_path / 'a.arrow', [ImageRecord('a.jpg', 4000, 3000, 's', queries)])
    solid, ring = read_examples(AnnotationFile(tmp_path / 'a.arrow'), tmp_path, np.arange(2), 200)
    assert solid.image.shape == (150, 200, 3) and solid.problem is None
    assert np.abs(solid.image[60, 100].astype(int) - (200, 10, 10)).max() < 12
    (outline,) = solid.outlines()
    np.testing.assert_allclose(outline, [(50, 50), (150, 50), (150, 100), (50, 100)], atol=0.5)
    assert solid.target().shape == (150, 200) and solid.target()[75, 100] > 0.9
    outer, inner = sorted(ring.outlines(), key=cv2_area, reverse=True)
    assert cv2_area(outer) == pytest.approx(5000, rel=0.05) and cv2_area(inner) == pytest.approx(800, rel=0.2)
    assert ring.target()[75, 100] < 0.2


def cv2_area(polygon: np.ndarray) -> float:
    return cv2.contourArea(polygon.astype(np.float32))
