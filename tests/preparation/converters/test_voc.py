"""Pascal VOC: boxes, names, and XML that must not be trusted."""

from __future__ import annotations

import pytest

from tests.trees.dior import oriented, upright, voc
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.voc import dior_category, read_voc


@pytest.fixture
def write(tmp_path):
    def file(content: str | bytes):
        path = tmp_path / 'a.xml'
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


def test_both_kinds_of_boxes(write):
    plain = '<name> dam </name>' + upright(1, 2, 30.5, 40) + '<description>the dam</description>'
    turned = '<name>dam</name>' + oriented((5, 0), (9, 4), (4, 9), (-1, 5))
    content = read_voc(write(voc('a.jpg', [plain], (96, 128))))
    assert (content.image, content.size) == ('a.jpg', (96, 128))
    (member,) = content.objects
    assert (member.category, member.text) == ('dam', 'the dam') and member.where.endswith('a.xml object 1')
    assert member.polygon.tolist() == [[1, 2], [30.5, 2], [30.5, 40], [1, 40]]
    (member,) = read_voc(write(voc('a.jpg', [turned])), 'robndbox').objects
    assert member.polygon.tolist() == [[5, 0], [9, 4], [4, 9], [-1, 5]] and member.text is None


@pytest.mark.parametrize(
    'name', ['Expressway-toll-station', 'expressway toll station', 'ExpresswayTollStation', 'Expressway_Toll-station']
)
def test_names_vary(name):
    assert dior_category(name, 'here') == 'expressway toll station'


def test_unknown_names():
    assert dior_category('golffield', 'here') == 'golf field'
    with pytest.raises(DataError, match="here: category 'zeppelin' is none of DIOR"):
        dior_category('zeppelin', 'here')


LAUGHS = (
    '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
)
OUTSIDE = '<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>'


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16'])
@pytest.mark.parametrize('text', [LAUGHS, OUTSIDE, '<!DOCTYPE annotation SYSTEM "other.dtd"><annotation/>'])
def test_document_types_and_entities_are_refused(write, text, encoding):
    with pytest.raises(LayoutError, match=r"a\.xml: declares the document type 'annotation'"):
        read_voc(write(text.encode(encoding)))


@pytest.mark.parametrize(
    'content, error, message',
    [
        ('<annotation><object>', DataError, 'no complete XML'),
        (b'\x00\x01', DataError, 'no complete XML'),
        ('<?xml version="1.0" encoding="martian"?><annotation/>', DataError, 'no complete XML'),
        ('<html/>', LayoutError, 'holds <html>'),
        (voc('a', [upright(1, 2, 3, 4)]), LayoutError, 'object 1 has no <name>'),
        (voc('a', ['<name>dam</name>']), LayoutError, r'object 1 has no <bndbox> \(found: no box\)'),
        (voc('a', [f'<name>dam</name>{oriented((1, 1), (2, 1), (2, 2), (1, 2))}']), LayoutError, 'found: robndbox'),
        (voc('a', ['<name>dam</name><bndbox><xmin>x</xmin></bndbox>']), LayoutError, "<bndbox/xmin> is 'x'"),
        (voc('a', [f'<name>dam</name>{upright(1, 2, float("nan"), 4)}']), LayoutError, "<bndbox/xmax> is 'nan'"),
    ],
)
def test_faulty_files(write, content, error, message):
    with pytest.raises(error, match=message) as caught:
        read_voc(write(content))
    assert type(caught.value) is error and 'a.xml' in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r'no\.xml cannot be read'):
        read_voc(tmp_path / 'no.xml')
