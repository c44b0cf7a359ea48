"""A benchmark's report for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def format_report(report: dict[str, Any]) -> Table:
    """What :func:`~benchmarks.run_benchmark` returned, as a table."""
    environment, settings = report['environment'], report['settings']
    height, width = settings['image_size']
    load = environment['load_average']
    table = Table('part', 'measured', 'value', 'slowest / fastest', title=f'{report["config"]}, {height} x {width}')
    table.columns[2].justify = table.columns[3].justify = 'right'
    table.caption = (
        f'{environment["device_name"]}, {settings["threads"]} of {environment["cpu_count"]} CPU threads'
        f'{"" if load is None else f", load {load:.1f} before"}; medians of {settings["repeats"]}'
    )

    def add(part: str, measured: str, value: str, time: dict[str, float] | None = None) -> None:
        table.add_row(part, measured, value, f'{time["max_s"] / time["min_s"]:.2f}' if time else '')

    if train := report.get('train'):
        what = f'{_counted(train["pairs_per_step"], "pair")} of {_counted(train["images_per_step"], "image")} per step'
        add('train', what, f'{train["pairs_per_s"]:.2f} pairs/s', train['step'])
        add('', f'peak memory, {train["peak_memory_of"]}', f'{train["peak_memory_bytes"] / 2**30:.2f} GiB')
        share = f'{100 * train["share_of_ceiling"]:.0f} % of {train["ceiling_flop_per_s"] / 1e12:.3g}'
        add('', f'TFLOP/s, of a matrix product in {train["ceiling_dtype"]}', share)
    for row in report.get('infer', ()):
        number = row['queries_per_image']
        queries = _counted(number, 'query', 'queries')
        for name, words in (('grouped', 'an image together'), ('single', 'one by one')):
            rate = f'{row[name]["queries_per_s"]:.2f} queries/s'
            add('infer', f'{queries} {words}', rate, row[name])
        add('', 'gain', f'{row["gain"]:.2f} x')
    if naive := report.get('naive'):
        for kind, unit in (('infer', 'queries'), ('train', 'pairs')):
            if kind not in naive:
                continue
            for name, words in (('xemap', 'this network'), ('naive', 'composed naively')):
                side = naive[kind][name]
                add('naive', f'{kind}, {words}', f'{side[f"{unit}_per_s"]:.2f} {unit}/s', side)
            add('', 'gain', f'{naive[kind]["gain"]:.2f} x')
    for row in report.get('pairs', {}).get('rows', ()):
        what = _counted(row['pairs_per_step'], 'pair') + ' per step'
        if not row['fits']:
            add('pairs', what, 'does not fit')
            continue
        share = f'{row["pairs_per_s"]:.2f} pairs/s, {100 * row["share_of_ceiling"]:.0f} %'
        add('pairs', what, share, row['step'])
        add('', f'peak memory, {row["peak_memory_of"]}', f'{row["peak_memory_bytes"] / 2**30:.2f} GiB')
    if each := report.get('pairs', {}).get('memory_per_pair_bytes'):
        add('', 'memory of one pair more', f'{each / 2**20:.0f} MiB')
    for dtype, sides in report.get('sampling', {}).get('dtypes', {}).items():
        for backend, row in sides.items():
            for way in ('forward', 'with_backward'):
                add('sampling', f'{backend}, {dtype}, {way}', f'{1000 * row[way]["median_s"]:.2f} ms', row[way])
    for name, row in report.get('scenario', {}).get('methods', {}).items():
        add('scenario', f'{name}, all images', f'{row["seconds"]:.1f} s')
        add('', f'{name}, in the model', f'{row["model_seconds"]:.1f} s')
    if data := report.get('data'):
        what = f'{data["queries_per_sample"]:.1f} queries, one core'
        add('data', what, f'{data["samples_per_s"]:.2f} samples/s', data['pass'])
    if metric := report.get('metric'):
        for kind in ('uint8', 'float32'):
            time = metric[kind]
            add('metric', f'{metric["map_size"]} x {metric["map_size"]} {kind}', f'{time["median_s"]:.3f} s', time)
    if large := report.get('large_sources'):
        for source, sides in large.items():
            for way in ('whole', 'reduced') if isinstance(sides, dict) else ():
                what = f'{source.replace("_", ", ")}, {large["side"]} px, {way}'
                add('large_sources', what, f'{sides[way]["samples_per_s"]:.2f} samples/s', sides[way])
    return table


def _counted(number: int, one: str, more: str = '') -> str:
    return f'{number} {one if number == 1 else more or one + "s"}'
