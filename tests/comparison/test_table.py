from __future__ import annotations

import csv
import io
import re
from html import escape

from xemap.comparison import as_csv, as_html, as_markdown, as_text
from xemap.terminal import PlainConsole


def row(name, rmi, ras, seconds, stages=None):
    scores = {
        'intervals': {'rmi': [rmi - 0.02, rmi + 0.04]},
        'rmi': rmi,
        'rsu': 0.5,
        'ras': ras,
        'rda': None,
        'queries': 10,
        'unscored': 0,
    }
    times = {'total_seconds': seconds, 'read_seconds': 1.0, 'queries_per_second': 10 / seconds}
    return {'name': name, **scores, **times, 'stage_seconds': stages or {}, 'by_kind': {}}


REPORT = {
    'methods': [row('XeMap', 0.6, 0.3, 2.0), row('SeLo | v1', 0.4, 0.7, 8.0, {'cut': 1.5, 'filtering': 2.25})],
    'best': {'rmi': 'XeMap', 'ras': 'XeMap'},
    'metrics': [
        {
            'name': 'selo',
            'title': 'SeLo metrics',
            'main': 'rmi',
            'scores': {'rmi': 'Rmi', 'rsu': 'Rsu', 'ras': 'Ras', 'rda': 'Rda'},
        }
    ],
    'bounds': [{'name': 'floor', 'metric': 'selo', 'rmi': 0.375, 'rsu': 0.5069, 'ras': 0.9, 'rda': 0.1, 'queries': 10}],
}


def test_markdown_marks_what_is_better_than_chance_and_lists_stages():
    lines = as_markdown(REPORT).splitlines()
    assert lines[2] == '| XeMap | **0.6000 ±0.030** | 0.5000 | **0.3000** | 10 | 0 | 2.00 | 5.00 |'
    assert lines[3] == '| SeLo \\| v1 | 0.4000 ±0.030 | 0.5000 | 0.7000 | 10 | 0 | 8.00 | 1.25 |'
    assert lines[4] == '| floor | 0.3750 | 0.5069 | 0.9000 | 10 |  |  |  |'
    assert lines[6:] == [
        '| seconds | reading | cut | filtering |',
        '|---|---:|---:|---:|',
        '| XeMap | 1.00 |  |  |',
        '| SeLo \\| v1 | 1.00 | 1.50 | 2.25 |',
    ]


def test_html_has_the_cells_of_the_markdown():
    report = {**REPORT, 'methods': [{**REPORT['methods'][0], 'name': 'a <b>'}, REPORT['methods'][1]]}
    report['best'] = {'rmi': 'a <b>'}
    html = as_html(report)
    assert '<td class="best">0.6000 ±0.030</td>' in html and html.count('best') == 1 and 'a &lt;b&gt;' in html
    lines = [re.findall(r'>([^<]*)</t[hd]>', line) for line in html.splitlines() if '</th>' in line]
    markdown = [line.strip('| ').split(' | ') for line in as_markdown(report).splitlines() if line[:2] == '| ']
    assert [[cell for cell in line if cell] for line in lines] == [
        [escape(cell.strip('* ').replace('\\|', '|')) for cell in line if cell.strip()] for line in markdown
    ]


def test_csv_holds_numbers_in_full():
    rows = list(csv.DictReader(io.StringIO(as_csv(REPORT))))
    assert [r['name'] for r in rows] == ['XeMap', 'SeLo | v1', 'floor']
    assert rows[0]['queries_per_second'] == '5.0' and rows[0]['rda'] == '' and rows[2]['total_seconds'] == ''
    assert [r['read_seconds'] for r in rows] == ['1.0', '1.0', '']
    assert [r['filtering_seconds'] for r in rows] == ['', '2.25', '']


def test_text_fits_a_terminal():
    console = PlainConsole(width=80, file=io.StringIO())
    console.print(as_text(REPORT))
    text = console.file.getvalue()
    assert '0.6000' in text and '±0.030' in text and 'SeLo | v1' in text and '…' not in text
    wide = {f'pr@{k}': f'Pr@{k}' for k in range(7)}
    report = {
        **REPORT,
        'metrics': [{**REPORT['metrics'][0], 'scores': wide}],
        'methods': [
            {
                **row('XeMap-Network', 0.6, 0.3, 2.0),
                **dict.fromkeys(wide, 0.1234),
                'intervals': dict.fromkeys(wide, [0, 0.2]),
            }
        ],
    }
    console = PlainConsole(width=100, file=io.StringIO())
    console.print(as_text(report))
    assert console.file.getvalue().count('0.1234') == console.file.getvalue().count('±0.100') == 7
    assert 'XeMap' in console.file.getvalue()
    assert 'Seconds by stage' in text and '2.25' in text


def test_stages_are_left_out_where_no_method_has_any():
    report = {**REPORT, 'methods': REPORT['methods'][:1]}
    console = PlainConsole(width=80, file=io.StringIO())
    console.print(as_text(report))
    assert 'stage' not in console.file.getvalue() and 'reading' not in as_markdown(report)


def test_several_metrics_have_a_table_each_and_costs_one_of_their_own():
    masks = {'oiou': 0.25, 'peak_memory_bytes': 3 << 29, 'parameters': 12_340_000}
    kinds = {'one-hop': {'rmi': 0.7, 'oiou': 0.3}, 'multi-hop': {'rmi': 0.5, 'oiou': None, 'intervals': {}}}
    methods = [{**row('a', 0.6, 0.3, 2.0), **masks, 'by_kind': kinds}, row('b', 0.4, 0.7, 8.0)]
    metrics = [*REPORT['metrics'], {'name': 'mask', 'title': 'Masks', 'main': 'oiou', 'scores': {'oiou': 'oIoU'}}]
    bounds = [*REPORT['bounds'], {'name': 'whole image', 'metric': 'mask', 'oiou': 0.125, 'queries': 10}]
    report = {'methods': methods, 'metrics': metrics, 'bounds': bounds, 'best': {'oiou': 'a'}}
    selo, mask, costs, rmi, oiou = as_markdown(report).split('\n\n**')
    assert 'whole image' not in selo and '| floor |' in selo and 'time' not in selo
    assert mask.splitlines()[2:] == [
        '| method | oIoU | queries | unscored |',
        '|---|---:|---:|---:|',
        '| a | **0.2500** | 10 | 0 |',
        '| b |  | 10 | 0 |',
        '| whole image | 0.1250 | 10 |  |',
    ]
    assert costs.splitlines()[2:] == [
        '| method | time (s) | queries/s | peak memory (GiB) | parameters (M) |',
        '|---|---:|---:|---:|---:|',
        '| a | 2.00 | 5.00 | 1.50 | 12.34 |',
        '| b | 8.00 | 1.25 |  |  |',
    ]
    assert rmi.startswith('Rmi by kind of query**') and '| a | 0.7000 | 0.5000 |' in rmi
    assert '| a | 0.3000 |  |' in oiou and '| b |  |  |' in oiou
    lines = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert [line['oiou'] for line in lines] == ['0.25', '', '', '0.125']
